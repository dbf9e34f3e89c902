//! The server's part of a TLS handshake: record by record, so that nothing behind it is read.

use std::io;
use std::sync::Arc;

use rustls::server::{Accepted, Acceptor};
use rustls::{ServerConfig, ServerConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::records::{self, HEADER};

/// Hears what the client says first.
///
/// # Errors
/// When it goes, or speaks no TLS that we do; it has been told.
pub async fn hear(socket: &mut TcpStream) -> io::Result<Accepted> {
    let (mut acceptor, mut record) = (Acceptor::default(), Vec::new());
    loop {
        read(socket, &mut record).await?;
        acceptor.read_tls(&mut record.as_slice())?;
        match acceptor.accept() {
            Ok(Some(accepted)) => return Ok(accepted),
            Ok(None) => {}
            Err((error, mut alert)) => {
                let mut told = Vec::new();
                alert.write_all(&mut told)?;
                return Err(refuse(socket, &told, error).await);
            }
        }
    }
}

/// Answers, and goes on until both have finished.
///
/// # Errors
/// As [`hear`].
pub async fn finish(
    socket: &mut TcpStream,
    hello: Accepted,
    config: Arc<ServerConfig>,
) -> io::Result<ServerConnection> {
    let mut connection = match hello.into_connection(config) {
        Ok(connection) => connection,
        Err((error, mut alert)) => {
            let mut told = Vec::new();
            alert.write_all(&mut told)?;
            return Err(refuse(socket, &told, error).await);
        }
    };
    let mut record = Vec::new();
    loop {
        socket.write_all(&to_say(&mut connection)?).await?;
        if !connection.is_handshaking() {
            return Ok(connection);
        }
        read(socket, &mut record).await?;
        connection.read_tls(&mut record.as_slice())?;
        if let Err(error) = connection.process_new_packets() {
            let told = to_say(&mut connection)?;
            return Err(refuse(socket, &told, error).await);
        }
    }
}

fn to_say(connection: &mut ServerConnection) -> io::Result<Vec<u8>> {
    let mut said = Vec::new();
    while connection.wants_write() {
        connection.write_tls(&mut said)?;
    }
    Ok(said)
}

/// Reads one record.
async fn read(socket: &mut TcpStream, record: &mut Vec<u8>) -> io::Result<()> {
    record.clear();
    record.resize(HEADER, 0);
    socket.read_exact(record).await?;
    if let Err(alert) = records::whole(record) {
        return Err(refuse(socket, &records::alert(alert), format!("{alert:?}")).await);
    }
    let length = usize::from(u16::from_be_bytes([record[HEADER - 2], record[HEADER - 1]]));
    record.resize(HEADER + length, 0);
    socket.read_exact(&mut record[HEADER..]).await?;
    Ok(())
}

/// Tells the client why, as far as it still hears.
async fn refuse(socket: &mut TcpStream, alert: &[u8], error: impl ToString) -> io::Error {
    match socket.write_all(alert).await {
        Ok(()) => io::Error::new(io::ErrorKind::InvalidData, error.to_string()),
        Err(error) => error,
    }
}
