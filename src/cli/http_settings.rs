//! Where to speak HTTP, and to whom: what a server and a load client ask for alike.

use super::{Failure, secret_file};
use crate::control::HttpSettings;
use std::net::SocketAddr;
use std::path::Path;

/// The shortest token that is taken, in characters.
const TOKEN_LEN_MIN: usize = 16;

/// The address that `option` names, with the token of `--http-token`, without which only loopback is served.
pub fn http_settings(
    addr: SocketAddr,
    token_file: Option<&Path>,
    option: &str,
) -> Result<HttpSettings, Failure> {
    let Some(file) = token_file else {
        return match addr.ip().is_loopback() {
            true => Ok(HttpSettings { addr, token: None }),
            false => Err(Failure::usage(format!(
                "{option} {addr}: others can reach this address; name a file with a secret by --http-token FILE"
            ))),
        };
    };
    let token = secret_file::read(file, "--http-token", "")?.trim().to_owned();
    match token.len() < TOKEN_LEN_MIN {
        true => Err(Failure::usage(format!(
            "--http-token {}: at least {TOKEN_LEN_MIN} characters",
            file.display()
        ))),
        false => Ok(HttpSettings { addr, token: Some(token) }),
    }
}
