//! The requests by which the operator gives orders and makes payments.

use super::check_order::check_order;
use super::desk::Refused;
use super::http::refuse;
use super::order_values::{parse_at, parse_fen_range};
use super::rebuild::RebuildError;
use super::service::{self, ServiceError};
use super::shared::{ChangeError, Shared};
use crate::set::Payment;
use crate::set::book::{ANSWER_FEN_MAX, Order, OrderState, What};
use crate::worker::{PUBLISHED_EVERY, Plan};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;
use std::sync::Arc;

/// What is served here.
pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/orders", get(orders))
        .route("/mint", post(mint))
        .route("/send", post(send))
        .route("/mint/{id}/{verb}", post(change_mint))
        .route("/send/{id}/{verb}", post(change_send))
        .route("/deposit", post(deposit))
        .route("/withdraw", post(withdraw))
        .route("/groups/{group}/rebuild", post(rebuild))
        .route("/service", post(force_level))
        .route("/service/{switch}", post(set_switch))
}

type Fields = Query<Vec<(String, String)>>;

async fn orders(State(shared): State<Arc<Shared>>) -> Response {
    Json(shared.orders()).into_response()
}

async fn mint(State(shared): State<Arc<Shared>>, Query(fields): Fields) -> Response {
    give_order(&shared, parse_order(&fields, false)).await
}

async fn send(State(shared): State<Arc<Shared>>, Query(fields): Fields) -> Response {
    give_order(&shared, parse_order(&fields, true)).await
}

async fn give_order(shared: &Shared, order: Result<(Order, bool), String>) -> Response {
    let settings = shared.settings();
    let checked = order.and_then(|(order, any_day)| {
        check_order(&order, &settings.totals, settings.layout).map_err(|error| error.to_string())?;
        Ok((order, any_day))
    });
    match checked {
        Err(why) => refuse(StatusCode::BAD_REQUEST, &why),
        Ok((order, any_day)) => match shared.give_order(order, any_day).await {
            Ok((is_new, at)) => (status_of(is_new), Json(shared.order(at))).into_response(),
            Err(refused) => answer(&refused),
        },
    }
}

async fn change_mint(
    State(shared): State<Arc<Shared>>,
    Path((id, verb)): Path<(String, String)>,
) -> Response {
    change(&shared, "mint", &id, &verb).await
}

async fn change_send(
    State(shared): State<Arc<Shared>>,
    Path((id, verb)): Path<(String, String)>,
) -> Response {
    change(&shared, "send", &id, &verb).await
}

async fn change(shared: &Shared, what: &str, id: &str, verb: &str) -> Response {
    let state = match verb {
        "pause" => OrderState::Paused,
        "resume" => OrderState::Running,
        "stop" => OrderState::Stopped,
        _ => {
            let why = format!("{verb}: an order can be told to pause, resume and stop");
            return refuse(StatusCode::NOT_FOUND, &why);
        }
    };
    match shared.set_order_state(id, what, state).await {
        Ok(at) => Json(shared.order(at)).into_response(),
        Err(refused) => answer(&refused),
    }
}

async fn deposit(State(shared): State<Arc<Shared>>, Query(fields): Fields) -> Response {
    pay(&shared, parse_payment(&fields, true)).await
}

async fn withdraw(State(shared): State<Arc<Shared>>, Query(fields): Fields) -> Response {
    pay(&shared, parse_payment(&fields, false)).await
}

/// What is said of a payment.
#[derive(Serialize)]
struct PaymentReport<'a> {
    id: &'a str,
    kind: &'static str,
    user: u64,
    fen: u64,
    state: &'static str,
}

async fn pay(shared: &Shared, payment: Result<Payment, String>) -> Response {
    let payment = match payment {
        Ok(payment) => payment,
        Err(why) => return refuse(StatusCode::BAD_REQUEST, &why),
    };
    match shared.pay(&payment).await {
        Err(refused) => answer(&refused),
        Ok(is_new) => {
            let Payment { id, user, fen, is_deposit } = &payment;
            let kind = if *is_deposit { "deposit" } else { "withdraw" };
            let report = PaymentReport { id, kind, user: *user, fen: *fen, state: "done" };
            (status_of(is_new), Json(report)).into_response()
        }
    }
}

async fn force_level(State(shared): State<Arc<Shared>>, Query(fields): Fields) -> Response {
    match fields.as_slice() {
        [(name, level)] if name == "level" => {
            service_changed(&shared, |plan| service::force(plan, level)).await
        }
        _ => refuse(StatusCode::BAD_REQUEST, "expected level=NUMBER, level=NAME or level=auto"),
    }
}

async fn set_switch(
    State(shared): State<Arc<Shared>>,
    Path(switch): Path<String>,
    Query(fields): Fields,
) -> Response {
    match fields.as_slice() {
        [(name, state)] if name == "state" => {
            service_changed(&shared, |plan| service::set_switch(plan, &switch, state)).await
        }
        _ => refuse(StatusCode::BAD_REQUEST, "expected state=on, state=off or state=auto"),
    }
}

async fn service_changed(
    shared: &Shared,
    change: impl FnOnce(&mut Plan) -> Result<(), ServiceError>,
) -> Response {
    match shared.change_service(change) {
        Ok(()) => {
            // The answer is what the workers say of themselves, and what they said last was before the change.
            tokio::time::sleep(2 * PUBLISHED_EVERY).await;
            Json(shared.service()).into_response()
        }
        Err(ChangeError::Refused(error @ ServiceError::NoSwitch(_))) => {
            refuse(StatusCode::NOT_FOUND, &error.to_string())
        }
        Err(ChangeError::Refused(error)) => refuse(StatusCode::BAD_REQUEST, &error.to_string()),
        Err(ChangeError::Hangs(error)) => refuse(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
    }
}

async fn rebuild(State(shared): State<Arc<Shared>>, Path(group): Path<String>) -> Response {
    let Ok(number) = group.parse() else {
        return refuse(StatusCode::NOT_FOUND, &format!("{group}: no group has this number"));
    };
    let rebuilt = tokio::task::spawn_blocking(move || shared.rebuild(number)).await;
    match rebuilt {
        Ok(Ok(rebuilt)) => Json(rebuilt).into_response(),
        Ok(Err(error)) => {
            let status = match error {
                RebuildError::NoSuchGroup(_) => StatusCode::NOT_FOUND,
                RebuildError::Memory | RebuildError::Works(_) => StatusCode::CONFLICT,
                RebuildError::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
                _ => StatusCode::SERVICE_UNAVAILABLE,
            };
            refuse(status, &error.to_string())
        }
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &format!("rebuilding: {error}")),
    }
}

fn status_of(is_new: bool) -> StatusCode {
    if is_new { StatusCode::CREATED } else { StatusCode::OK }
}

/// A refusal with the status that tells a program what to do about it.
pub fn answer(refused: &Refused) -> Response {
    let status = match refused {
        Refused::Conflict(_) | Refused::Stopped(_) | Refused::TooLittleMoney => StatusCode::CONFLICT,
        Refused::NotFound { .. } => StatusCode::NOT_FOUND,
        Refused::TooMuch => StatusCode::BAD_REQUEST,
        Refused::Full("orders") => StatusCode::TOO_MANY_REQUESTS,
        Refused::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        Refused::Full(_)
        | Refused::NoRoomNow
        | Refused::Failed(_)
        | Refused::Masked(_)
        | Refused::Busy(_)
        | Refused::Hangs(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    refuse(status, &refused.to_string())
}

/// The fields of a query. Everything is text here, so that what is wrong is named by us.
struct Asked<'a> {
    fields: &'a [(String, String)],
    example: &'static str,
}

impl<'a> Asked<'a> {
    /// Each field is one of `allowed`, and is given once.
    fn new(
        fields: &'a [(String, String)],
        allowed: &[&str],
        example: &'static str,
    ) -> Result<Asked<'a>, String> {
        for (at, (name, _)) in fields.iter().enumerate() {
            if !allowed.contains(&name.as_str()) {
                return Err(format!("{name}: there is no such field; expected {example}"));
            }
            if fields[..at].iter().any(|(before, _)| before == name) {
                return Err(format!("{name}: given twice"));
            }
        }
        Ok(Asked { fields, example })
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    fn number<T: std::str::FromStr>(&self, name: &str, default: Option<T>) -> Result<T, String> {
        match (self.text(name), default) {
            (None, Some(default)) => Ok(default),
            (None, None) => Err(format!("{name}: missing; expected {}", self.example)),
            (Some(value), _) => {
                value.parse().map_err(|_| format!("{name}: {value:?} is not a whole number in its range"))
            }
        }
    }

    /// 1 to 64 characters that need no quoting anywhere.
    fn id(&self) -> Result<Option<&'a str>, String> {
        let is_id = |id: &&str| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
            (1..=64).contains(&id.len()) && id.chars().all(is_plain)
        };
        match self.text("id") {
            Some(id) if !is_id(&id) => Err("id: 1 to 64 letters, digits, - _ . : are allowed".into()),
            id => Ok(id),
        }
    }
}

/// An order, and whether its time was given as a time of day.
fn parse_order(fields: &[(String, String)], is_send: bool) -> Result<(Order, bool), String> {
    const OPTIONAL: [&str; 8] = ["id", "rate", "total", "fen", "shares", "equal", "at", "budget"];
    let query = if is_send {
        let example = "?rate=N&total=N&recipients=N&shares=N&fen=MIN..MAX[&id=&equal=&at=&budget=]";
        Asked::new(fields, &[&OPTIONAL[..], &["recipients"]].concat(), example)?
    } else {
        Asked::new(fields, &OPTIONAL, "?rate=N&total=N&fen=MIN..MAX[&id=&shares=&equal=&at=&budget=]")?
    };
    let shares = query.number("shares", Some(1))?;
    let default = format!("{shares}..{}", 100 * u64::from(shares));
    let fen = query.text("fen").unwrap_or(&default);
    let fen = parse_fen_range(fen).map_err(|why| format!("fen: {why}"))?;
    let at = query.text("at").map(parse_at).transpose().map_err(|why| format!("at: {why}"))?;
    let what = match is_send {
        false => What::Mint,
        true => What::Send { recipients: query.number("recipients", None)? },
    };
    let equal = match query.text("equal") {
        None | Some("0" | "false") => false,
        Some("1" | "true") => true,
        Some(other) => return Err(format!("equal: {other:?} is neither true nor false")),
    };
    let id = query.id()?.unwrap_or_default();
    let (rate, total) = (query.number("rate", None)?, query.number("total", None)?);
    let order = Order {
        what,
        shares,
        equal,
        at_wall_ms: at.map_or(0, |at| at.wall_ms),
        budget_fen: query.number("budget", Some(0))?,
        ..Order::mint(id, rate, total, fen)
    };
    Ok((order, at.is_some_and(|at| at.any_day)))
}

fn parse_payment(fields: &[(String, String)], is_deposit: bool) -> Result<Payment, String> {
    let query = Asked::new(fields, &["id", "user", "fen"], "?id=ID&user=N&fen=N")?;
    let id = query.id()?.ok_or("id: missing; it is what makes asking again harmless")?.to_owned();
    let (user, fen) = (query.number("user", None)?, query.number("fen", None)?);
    if user == 0 {
        return Err("user: 0 is nobody".into());
    }
    if !(1..=ANSWER_FEN_MAX).contains(&fen) {
        return Err(format!("fen: {fen}: 1 to {ANSWER_FEN_MAX} are allowed in one payment"));
    }
    Ok(Payment { id, user, fen, is_deposit })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(query: &str) -> Vec<(String, String)> {
        let field = |field: &str| field.split_once('=').map(|(name, value)| (name.into(), value.into()));
        query.split('&').filter_map(field).collect()
    }

    fn order(query: &str) -> Result<Order, String> {
        parse_order(&fields(query), false).map(|(order, _)| order)
    }

    #[test]
    fn a_query_becomes_an_order() {
        let plain = Order::mint("a", 5, 6, (7, 8));
        assert_eq!(order("id=a&rate=5&total=6&fen=7..8"), Ok(plain.clone()));
        assert_eq!(
            order("id=a&rate=5&total=6&shares=3").map(|order| (order.fen_min, order.fen_max)),
            Ok((3, 300))
        );
        let all = "id=a&rate=5&total=6&fen=7..8&shares=2&equal=true&budget=99&recipients=4";
        let send = parse_order(&fields(all), true).unwrap().0;
        let what = What::Send { recipients: 4 };
        assert_eq!(send, Order { what, shares: 2, equal: true, budget_fen: 99, ..plain });
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (query, field) in [
            ("total=6", "rate"),
            ("rate=5", "total"),
            ("rate=5&total=x", "total"),
            ("rate=-1&total=1", "rate"),
            ("rate=1&total=1&fen=0..1", "fen"),
            ("rate=1&total=1&equal=2", "equal"),
            ("rate=1&total=1&at=noon", "at"),
            ("rate=1&total=1&recipients=3", "recipients"),
            ("rate=1&total=1&id=a b", "id"),
            ("rate=1&rate=1&total=1", "rate"),
        ] {
            assert!(order(query).unwrap_err().starts_with(&format!("{field}: ")), "{query}");
        }
        assert!(parse_order(&fields("rate=1&total=1"), true).unwrap_err().starts_with("recipients: "));
        for (query, field) in [
            ("user=1&fen=1", "id"),
            ("id=a&fen=1", "user"),
            ("id=a&user=0&fen=1", "user"),
            ("id=a&user=1&fen=0", "fen"),
        ] {
            assert!(
                parse_payment(&fields(query), true).unwrap_err().starts_with(&format!("{field}: ")),
                "{query}"
            );
        }
    }
}
