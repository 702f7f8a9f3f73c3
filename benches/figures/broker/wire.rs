//! The few requests that are spoken by hand, for what a client library would hide: its own rate, and its good manners.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection that asks for a version list, which every broker answers.
pub(crate) fn answers(address: &str) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = [0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    send(&mut stream, &request)?;
    receive(&mut stream).map(|_| ())
}

/// Sends a frame.
pub(crate) fn send(stream: &mut TcpStream, body: &[u8]) -> Result<()> {
    let mut frame = u32::try_from(body.len())?.to_be_bytes().to_vec();
    frame.extend_from_slice(body);
    Ok(stream.write_all(&frame)?)
}

/// Receives a frame.
pub(crate) fn receive(stream: &mut TcpStream) -> Result<Vec<u8>> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut frame = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut frame)?;
    Ok(frame)
}

/// Fetch, version 4, of partition 0 of a topic from an offset on, as much as comes.
pub(crate) fn fetch(topic: &str, offset: i64) -> Vec<u8> {
    let most = (64i32 << 20).to_be_bytes();
    let mut body = vec![0, 1, 0, 4, 0, 0, 0, 1, 0xff, 0xff];
    body.extend_from_slice(&(-1i32).to_be_bytes());
    body.extend_from_slice(&100i32.to_be_bytes());
    body.extend_from_slice(&1i32.to_be_bytes());
    body.extend_from_slice(&most);
    body.push(0);
    body.extend_from_slice(&1i32.to_be_bytes());
    put(&mut body, topic);
    body.extend_from_slice(&1i32.to_be_bytes());
    body.extend_from_slice(&0i32.to_be_bytes());
    body.extend_from_slice(&offset.to_be_bytes());
    body.extend_from_slice(&most);
    body
}

/// Joins a group as its only member and takes everything in it, in the oldest versions of JoinGroup and SyncGroup.
pub(crate) fn join_alone(stream: &mut TcpStream, group: &str) -> Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut join = vec![0, 11, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    put(&mut join, group);
    join.extend_from_slice(&30_000i32.to_be_bytes());
    put(&mut join, "");
    put(&mut join, "consumer");
    join.extend_from_slice(&1i32.to_be_bytes());
    put(&mut join, "range");
    let subscription = b"\0\0\0\0\0\x01\0\x05lines\xff\xff\xff\xff";
    join.extend_from_slice(&(subscription.len() as u32).to_be_bytes());
    join.extend_from_slice(subscription);
    send(stream, &join)?;
    let answer = receive(stream)?;
    let error = i16::from_be_bytes(at(&answer, 4)?);
    if error != 0 {
        bail!("JoinGroup is answered with error {error}");
    }
    // Correlation, error, generation, protocol, leader, which is the member itself.
    let generation = at::<4>(&answer, 6)?;
    let leader_at = 12 + usize::from(u16::from_be_bytes(at(&answer, 10)?));
    let length = usize::from(u16::from_be_bytes(at(&answer, leader_at)?));
    let member = answer
        .get(leader_at + 2..leader_at + 2 + length)
        .context("the answer is cut short")?;
    let member = std::str::from_utf8(member)?;
    let mut sync = vec![0, 14, 0, 0, 0, 0, 0, 2, 0xff, 0xff];
    put(&mut sync, group);
    sync.extend_from_slice(&generation);
    put(&mut sync, member);
    sync.extend_from_slice(&1i32.to_be_bytes());
    put(&mut sync, member);
    let assignment = b"\0\0\0\0\0\x01\0\x05lines\0\0\0\x01\0\0\0\0\xff\xff\xff\xff";
    sync.extend_from_slice(&(assignment.len() as u32).to_be_bytes());
    sync.extend_from_slice(assignment);
    send(stream, &sync)?;
    let answer = receive(stream)?;
    match i16::from_be_bytes(at(&answer, 4)?) {
        0 => Ok(()),
        error => bail!("SyncGroup is answered with error {error}"),
    }
}

fn put(body: &mut Vec<u8>, text: &str) {
    body.extend_from_slice(&(text.len() as u16).to_be_bytes());
    body.extend_from_slice(text.as_bytes());
}

/// Reads records of a topic until so many were had, and looks at nothing but the headers of their batches.
pub(crate) fn fetch_loop(address: &str, topic: &str, records: i64) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut offset = 0;
    while offset < records {
        send(&mut stream, &fetch(topic, offset))?;
        let answer = receive(&mut stream)?;
        let next = next_offset(&answer, topic)?;
        if next <= offset {
            bail!("a fetch from {offset} brought nothing");
        }
        offset = next;
    }
    Ok(())
}

/// The offset behind the last batch of an answer to [`fetch`].
fn next_offset(answer: &[u8], topic: &str) -> Result<i64> {
    // Correlation, throttle time, topics, the topic's name, partitions, index, error, two offsets, aborted: none.
    let error_at = 4 + 4 + 4 + 2 + topic.len() + 4 + 4;
    let error = i16::from_be_bytes(at(answer, error_at)?);
    if error != 0 {
        bail!("a fetch is answered with error {error}");
    }
    let mut position = error_at + 2 + 8 + 8 + 4 + 4;
    let mut next = -1;
    while position + 61 <= answer.len() {
        let base = i64::from_be_bytes(at(answer, position)?);
        let length = i32::from_be_bytes(at(answer, position + 8)?);
        let delta = i32::from_be_bytes(at(answer, position + 23)?);
        next = base + i64::from(delta) + 1;
        position += 12 + usize::try_from(length)?;
    }
    Ok(next)
}

fn at<const SIZE: usize>(bytes: &[u8], position: usize) -> Result<[u8; SIZE]> {
    let found = bytes
        .get(position..position + SIZE)
        .context("the answer is cut short")?;
    Ok(found.try_into()?)
}
