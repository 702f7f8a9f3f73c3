//! `docker_containers`: the containers of the machine's Docker engine, asked over its socket.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::Value;

use super::{Machine, table};
use crate::sql::{Operator, RowBuffer, Scan, TableError, columns};

columns! {
    ID "id" Text index,
    NAME "name" Text index,
    IMAGE "image" Text,
    IMAGE_ID "image_id" Text,
    COMMAND "command" Text,
    CREATED "created" BigInt,
    STATE "state" Text,
    STATUS "status" Text,
    PID "pid" BigInt,
    PATH "path" Text,
    CONFIG_ENTRYPOINT "config_entrypoint" Text,
    STARTED_AT "started_at" Text,
    FINISHED_AT "finished_at" Text,
    PRIVILEGED "privileged" Integer,
    SECURITY_OPTIONS "security_options" Text,
    ENV_VARIABLES "env_variables" Text,
    READONLY_ROOTFS "readonly_rootfs" Integer,
    CGROUP_NAMESPACE "cgroup_namespace" Text,
    IPC_NAMESPACE "ipc_namespace" Text,
    MNT_NAMESPACE "mnt_namespace" Text,
    NET_NAMESPACE "net_namespace" Text,
    PID_NAMESPACE "pid_namespace" Text,
    USER_NAMESPACE "user_namespace" Text,
    UTS_NAMESPACE "uts_namespace" Text,
}

table! { DockerContainers "docker_containers" fill }

const SOCKET: &str = "/var/run/docker.sock";
const PATIENCE: Duration = Duration::from_secs(10);
/// How much of an answer is read.
const LARGEST: u64 = 64 << 20;
const NAMESPACES: [(usize, &str); 7] = [
    (CGROUP_NAMESPACE, "ns/cgroup"),
    (IPC_NAMESPACE, "ns/ipc"),
    (MNT_NAMESPACE, "ns/mnt"),
    (NET_NAMESPACE, "ns/net"),
    (PID_NAMESPACE, "ns/pid"),
    (USER_NAMESPACE, "ns/user"),
    (UTS_NAMESPACE, "ns/uts"),
];
/// What only the inspection of a single container tells.
const INSPECTED: [usize; 9] = [
    PID,
    PATH,
    CONFIG_ENTRYPOINT,
    STARTED_AT,
    FINISHED_AT,
    PRIVILEGED,
    SECURITY_OPTIONS,
    ENV_VARIABLES,
    READONLY_ROOTFS,
];

fn fill(machine: &Machine, scan: &Scan, rows: &mut RowBuffer) -> Result<(), TableError> {
    let listed = match ask(machine, "/containers/json?all=1") {
        Ok(listed) => listed,
        Err(error) => {
            machine
                .status
                .verbose(&|| format!("docker_containers: {SOCKET}: {error}"));
            return Ok(());
        }
    };
    let wanted: Vec<&[u8]> = scan.values(ID, Operator::Equals).collect();
    let namespaces: Vec<usize> = NAMESPACES.iter().map(|(column, _)| *column).collect();
    for container in listed.as_array().into_iter().flatten() {
        let text = |member: &str| container[member].as_str().unwrap_or_default();
        if !wanted.is_empty() && !wanted.contains(&text("Id").as_bytes()) {
            continue;
        }
        rows.start_row();
        for (column, member) in [
            (ID, "Id"),
            (IMAGE, "Image"),
            (IMAGE_ID, "ImageID"),
            (COMMAND, "Command"),
            (STATE, "State"),
            (STATUS, "Status"),
        ] {
            rows.text(column, text(member));
        }
        rows.text(NAME, container["Names"][0].as_str().unwrap_or_default());
        if let Some(created) = container["Created"].as_i64() {
            rows.integer(CREATED, created);
        }
        if scan.uses_any(&INSPECTED) || scan.uses_any(&namespaces) {
            // One that was removed meanwhile has nothing more to tell.
            if let Ok(details) = ask(machine, &format!("/containers/{}/json", text("Id"))) {
                fill_details(machine, &details, rows);
            }
        }
    }
    Ok(())
}

fn fill_details(machine: &Machine, details: &Value, rows: &mut RowBuffer) {
    let texts = |pointer: &str| {
        let list = details.pointer(pointer).and_then(Value::as_array);
        let texts = list.into_iter().flatten().filter_map(Value::as_str);
        texts.collect::<Vec<_>>()
    };
    for (column, pointer) in [
        (PATH, "/Path"),
        (STARTED_AT, "/State/StartedAt"),
        (FINISHED_AT, "/State/FinishedAt"),
    ] {
        let text = details.pointer(pointer).and_then(Value::as_str);
        rows.text(column, text.unwrap_or_default());
    }
    for (column, pointer) in [
        (PRIVILEGED, "/HostConfig/Privileged"),
        (READONLY_ROOTFS, "/HostConfig/ReadonlyRootfs"),
    ] {
        let is_set = details.pointer(pointer).and_then(Value::as_bool);
        rows.integer(column, i64::from(is_set.unwrap_or_default()));
    }
    rows.text(CONFIG_ENTRYPOINT, texts("/Config/Entrypoint").join(", "));
    rows.text(SECURITY_OPTIONS, texts("/HostConfig/SecurityOpt").join(", "));
    rows.text(ENV_VARIABLES, texts("/Config/Env").join(", "));
    let pid = details.pointer("/State/Pid").and_then(Value::as_i64).unwrap_or(0);
    rows.integer(PID, pid);
    let Some(pid) = i32::try_from(pid).ok().filter(|pid| *pid > 0) else {
        return;
    };
    let mut reader = machine.proc.reader();
    for (column, name) in NAMESPACES {
        // `net:[4026531840]`
        let link = reader.link(pid, name);
        let inode = link.and_then(|link| link.strip_suffix(b"]")?.split(|&byte| byte == b'[').nth(1));
        if let Some(inode) = inode {
            rows.text(column, inode);
        }
    }
}

/// Asks the engine. With HTTP 1.0 an answer ends with its connection.
fn ask(machine: &Machine, path: &str) -> io::Result<Value> {
    let mut stream = UnixStream::connect(machine.path(SOCKET))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: docker\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(LARGEST).read_to_end(&mut answer)?;
    const END_OF_HEAD: &[u8] = b"\r\n\r\n";
    let end = answer
        .windows(END_OF_HEAD.len())
        .position(|window| window == END_OF_HEAD)
        .ok_or_else(|| io::Error::other("this is no answer of HTTP"))?;
    let (head, body) = answer.split_at(end + END_OF_HEAD.len());
    let status = head.split(|&byte| byte == b'\r').next().unwrap_or_default();
    if !status.ends_with(b" 200 OK") {
        return Err(io::Error::other(String::from_utf8_lossy(status).into_owned()));
    }
    serde_json::from_slice(body).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::os::unix::net::UnixListener;

    use crate::tables::fixture::TestDatabase;

    /// Answers as an engine with one container does.
    fn serve(listener: UnixListener, requests: usize) {
        for stream in listener.incoming().take(requests) {
            let mut stream = stream.unwrap();
            let mut request = String::new();
            BufReader::new(&stream).read_line(&mut request).unwrap();
            let body = match request.split(' ').nth(1).unwrap() {
                "/containers/json?all=1" => {
                    r#"[{"Id":"abc","Names":["/web"],"Image":"nginx:1","ImageID":"sha256:1","Command":"nginx -g","Created":1700000000,"State":"running","Status":"Up 2 hours"}]"#
                }
                "/containers/abc/json" => {
                    r#"{"Path":"nginx","State":{"Pid":0,"StartedAt":"2026-01-01T00:00:00Z","FinishedAt":"0001-01-01T00:00:00Z"},
                        "HostConfig":{"Privileged":true,"ReadonlyRootfs":false,"SecurityOpt":["no-new-privileges"]},
                        "Config":{"Entrypoint":["/entry","x"],"Env":["A=1","B=2"]}}"#
                }
                other => panic!("{other}"),
            };
            write!(
                stream,
                "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{body}"
            )
            .unwrap();
        }
    }

    #[test]
    fn containers_are_those_of_the_engine() {
        let folder = tempfile::tempdir().unwrap();
        let database = TestDatabase::seeded(folder.path(), &[("/var/run/x", "")]);
        assert!(database.rows("select * from docker_containers").is_empty());
        let listener = UnixListener::bind(folder.path().join("var/run/docker.sock")).unwrap();
        let engine = std::thread::spawn(move || serve(listener, 3));
        assert_eq!(
            database.values("id,name,state", "docker_containers where id = 'abc'"),
            ["abc|/web|running"]
        );
        assert_eq!(
            database.values(
                "id,name,image,image_id,command,created,state,status,pid,path,config_entrypoint,started_at,privileged,security_options,env_variables,readonly_rootfs",
                "docker_containers"
            ),
            [
                "abc|/web|nginx:1|sha256:1|nginx -g|1700000000|running|Up 2 hours|0|nginx|/entry, x|2026-01-01T00:00:00Z|1|no-new-privileges|A=1, B=2|0"
            ]
        );
        engine.join().unwrap();
    }
}
