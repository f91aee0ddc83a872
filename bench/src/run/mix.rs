//! What users do: of their own accord at each shot, and when they win something or are invited.

use rand::Rng as _;
use redpkt::cli::Failure;
use redpkt_proto::Rng;
use serde::Serialize;

/// How much of what users do. Made from the text of `--mix`, or in code.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Mix {
    /// Weight of shakes among the requests of the shots.
    pub shake: f64,
    /// Weight of sends among them. A user who knows of too little money shakes instead.
    pub send: f64,
    /// Weight of questions for the balance among them.
    pub balance: f64,
    /// Weight of questions for the newest entry of the history among them.
    pub history: f64,
    /// Share of packets won, and of those invited to, that are opened; 0 to 1.
    pub open: f64,
    /// Share of packets invited to that are grabbed, and opened after that; 0 to 1.
    pub grab: f64,
    /// Share of packets invited to that are shared with one more user; 0 to 1.
    pub share: f64,
    /// Share of opened packets that are opened once more, which must tell the same amount; 0 to 0.9.
    pub again: f64,
}

impl Default for Mix {
    /// Users shake, and open all that they win and are invited to.
    fn default() -> Mix {
        Mix {
            shake: 1.0,
            send: 0.0,
            balance: 0.0,
            history: 0.0,
            open: 1.0,
            grab: 0.0,
            share: 0.0,
            again: 0.0,
        }
    }
}

/// More would go on for long: each open can be followed by another one.
const AGAIN_MAX: f64 = 0.9;

impl Mix {
    /// Reads `shake=90,send=5,open=1`. What is not named is as in [`Mix::default`]; where a weight other than
    /// that of shakes is named and that of shakes is not, users do not shake.
    pub fn parse(text: &str) -> Result<Mix, String> {
        let mut mix = Mix { shake: f64::NAN, ..Mix::default() };
        for part in text.split(',') {
            let (op, value) =
                part.split_once('=').ok_or(format!("{part:?} is not OP=NUMBER, such as shake=1,open=1"))?;
            let place = match op.trim() {
                "shake" => &mut mix.shake,
                "send" => &mut mix.send,
                "balance" => &mut mix.balance,
                "history" => &mut mix.history,
                "open" => &mut mix.open,
                "grab" => &mut mix.grab,
                "share" => &mut mix.share,
                "again" => &mut mix.again,
                op => {
                    return Err(format!(
                        "{op:?}: shake, send, balance, history, open, grab, share and again are there"
                    ));
                }
            };
            *place = parse_number(value.trim())?;
        }
        if mix.shake.is_nan() {
            mix.shake = if mix.send + mix.balance + mix.history > 0.0 { 0.0 } else { 1.0 };
        }
        mix.fault().map_or(Ok(mix), Err)
    }

    /// What is wrong with it, if anything is.
    fn fault(&self) -> Option<String> {
        let Mix { shake, send, balance, history, open, grab, share, again } = *self;
        for (op, weight) in [("shake", shake), ("send", send), ("balance", balance), ("history", history)] {
            if !(0.0..=1e9).contains(&weight) {
                return Some(format!("{op}={weight}: a weight from 0 to a billion is allowed"));
            }
        }
        for (op, part, most) in
            [("open", open, 1.0), ("grab", grab, 1.0), ("share", share, 1.0), ("again", again, AGAIN_MAX)]
        {
            if !(0.0..=most).contains(&part) {
                return Some(format!("{op}={part}: a share from 0 to {most} is allowed"));
            }
        }
        let all = shake + send + balance + history;
        (all <= 0.0).then(|| "shake, send, balance and history: one weight must be above 0".to_owned())
    }

    pub(super) fn check(&self) -> Result<(), Failure> {
        self.fault().map_or(Ok(()), |why| Err(Failure::usage(format!("--mix {why}"))))
    }

    /// Whether users can come to be invited by what other users do.
    pub fn invites(&self) -> bool {
        self.send > 0.0 || self.share > 0.0
    }
}

/// `20%` or `0.2` or `20`.
fn parse_number(text: &str) -> Result<f64, String> {
    let bad = || format!("{text:?} is not a number; write it as 20% or 0.2");
    match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map(|percent| percent / 100.0).map_err(|_| bad()),
        None => text.parse().map_err(|_| bad()),
    }
}

/// What a user asks for at a shot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Shake,
    Send,
    Balance,
    History,
}

/// Draws by a mix: numbers are compared, nothing is computed.
#[derive(Clone, Copy, Debug)]
pub struct Dice {
    /// Below the first: shake; below the second: send; below the third: balance; else history. In 2^32nds.
    below: [u64; 3],
    open: u64,
    grab: u64,
    share: u64,
    again: u64,
}

impl Dice {
    pub fn new(mix: &Mix) -> Dice {
        let all = mix.shake + mix.send + mix.balance + mix.history;
        let up_to = |weight: f64| threshold(weight / all);
        Dice {
            below: [up_to(mix.shake), up_to(mix.shake + mix.send), up_to(mix.shake + mix.send + mix.balance)],
            open: threshold(mix.open),
            grab: threshold(mix.grab),
            share: threshold(mix.share),
            again: threshold(mix.again),
        }
    }

    /// What the next request of a shot asks for.
    #[inline]
    pub fn wish(&self, rng: &mut Rng) -> Wish {
        if self.below[0] == ALWAYS {
            return Wish::Shake;
        }
        match u64::from(rng.next_u32()) {
            number if number < self.below[0] => Wish::Shake,
            number if number < self.below[1] => Wish::Send,
            number if number < self.below[2] => Wish::Balance,
            _ => Wish::History,
        }
    }

    pub fn opens(&self, rng: &mut Rng) -> bool {
        comes(self.open, rng)
    }

    pub fn grabs(&self, rng: &mut Rng) -> bool {
        comes(self.grab, rng)
    }

    pub fn shares(&self, rng: &mut Rng) -> bool {
        comes(self.share, rng)
    }

    pub fn opens_again(&self, rng: &mut Rng) -> bool {
        comes(self.again, rng)
    }
}

const ALWAYS: u64 = 1 << 32;

fn threshold(share: f64) -> u64 {
    (share * ALWAYS as f64).round() as u64
}

/// What always or never comes uses up no random number.
fn comes(threshold: u64, rng: &mut Rng) -> bool {
    threshold == ALWAYS || (threshold > 0 && u64::from(rng.next_u32()) < threshold)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    #[test]
    fn mixes_are_read_and_what_is_wrong_is_named() {
        assert_eq!(Mix::parse("shake=1,open=1"), Ok(Mix::default()));
        assert_eq!(Mix::parse("shake=100%,open=0").unwrap().open, 0.0);
        assert_eq!(Mix::parse("open=50%").unwrap(), Mix { open: 0.5, ..Mix::default() });
        let mix = Mix::parse("shake=90, send=5,balance=3,history=2,grab=0.5,share=10%,again=0.1").unwrap();
        assert_eq!((mix.shake, mix.send, mix.grab, mix.share), (90.0, 5.0, 0.5, 0.1));
        assert_eq!(Mix::parse("send=1").unwrap().shake, 0.0);
        for (bad, names) in [
            ("", "OP=NUMBER"),
            ("shake", "OP=NUMBER"),
            ("shake=-1", "shake"),
            ("shake=x", "x"),
            ("open=2", "open"),
            ("again=1", "again"),
            ("shake=0", "weight"),
            ("shake=NaN,send=inf", "send"),
            ("jump=1", "jump"),
        ] {
            let why = Mix::parse(bad).unwrap_err();
            assert!(why.contains(names), "{bad}: {why}");
        }
    }

    /// Expect: within five standard deviations of the weights.
    #[test]
    fn draws_follow_the_weights() {
        let dice = Dice::new(&Mix { shake: 70.0, send: 20.0, history: 10.0, grab: 0.25, ..Mix::default() });
        let mut rng = Rng::seed_from_u64(1);
        let wishes: Vec<Wish> = (0..10_000).map(|_| dice.wish(&mut rng)).collect();
        let count = |wish| wishes.iter().filter(|drawn| **drawn == wish).count() as f64;
        for (wish, share) in
            [(Wish::Shake, 0.7), (Wish::Send, 0.2), (Wish::Balance, 0.0), (Wish::History, 0.1)]
        {
            let deviation = f64::sqrt(10_000.0 * share * (1.0 - share));
            assert!((count(wish) - 10_000.0 * share).abs() <= 5.0 * deviation, "{wish:?} {}", count(wish));
        }
        let grabs = (0..10_000).filter(|_| dice.grabs(&mut rng)).count() as f64;
        assert!((grabs - 2_500.0).abs() < 5.0 * 43.3, "{grabs}");
        assert!(dice.opens(&mut rng) && !dice.shares(&mut rng) && !dice.opens_again(&mut rng));
    }
}
