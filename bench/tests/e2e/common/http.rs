//! HTTP by hand, so that every header can be wrong.

use super::{PATIENCE, at_server};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub body: String,
}

impl Reply {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Asks for `target` with these header fields; without a Host among them, the address's own is sent.
pub fn ask(
    addr: SocketAddr,
    method: &str,
    target: &str,
    fields: &[(&str, &str)],
) -> Result<Reply, std::io::Error> {
    let mut stream = at_server(|| TcpStream::connect_timeout(&addr, PATIENCE))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut request = format!("{method} {target} HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n");
    if !fields.iter().any(|(name, _)| *name == "Host") {
        request += &format!("Host: {addr}\r\n");
    }
    fields.iter().for_each(|(name, value)| request += &format!("{name}: {value}\r\n"));
    stream.write_all(format!("{request}\r\n").as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or(std::io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(Reply { status: status.unwrap_or_else(|| panic!("no status in {head:?}")), body: body.to_owned() })
}
