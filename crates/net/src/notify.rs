//! Tells systemd that the server is ready, or stops (the protocol of sd_notify(3)).

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The server accepts connections.
pub const READY: &str = "READY=1";
/// The server is about to end.
pub const STOPPING: &str = "STOPPING=1";

/// Says it to whoever started us, if it wants to hear; else nothing happens.
pub fn tell(state: &str) {
    let Some(address) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    if let Err(error) = send(address.to_string_lossy().as_ref(), state) {
        tracing::warn!(%error, "systemd could not be told {state}");
    }
}

fn send(address: &str, state: &str) -> io::Result<()> {
    let address = match address.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(address)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_heard() -> io::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path)?;
        send(&path.to_string_lossy(), READY)?;
        let mut buffer = [0; 32];
        let length = socket.recv(&mut buffer)?;
        assert_eq!(&buffer[..length], b"READY=1");
        Ok(())
    }
}
