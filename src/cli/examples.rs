//! Examples of each verb, for `--help` and the manual. Every one of them can be typed as it is.

use clap::Command;

/// Gives the commands of a verb those of its examples that are about them.
pub(crate) fn handed_down(root: Command) -> Command {
    let path = root.get_name().to_owned();
    descend(root, &path, "")
}

fn descend(command: Command, path: &str, of_parent: &str) -> Command {
    let own = command.get_after_long_help().map(ToString::to_string);
    let is_about_it = |line: &&str| {
        let rest = line.trim_start().strip_prefix(path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    };
    let lines: Vec<&str> = of_parent.lines().filter(is_about_it).collect();
    let (command, examples) = match own {
        Some(own) => (command, own),
        None if lines.is_empty() => (command, String::new()),
        None => {
            let examples = format!("Examples:\n{}", lines.join("\n"));
            let notes = command.get_after_help().map(|notes| format!("\n\n{notes}"));
            let help = format!("{examples}{}", notes.unwrap_or_default());
            (command.after_long_help(help), examples)
        }
    };
    command.mut_subcommands(|below| {
        let path = format!("{path} {}", below.get_name());
        descend(below, &path, &examples)
    })
}

pub(super) const TOP_LEVEL: &str = "\
Examples:
  osqdemo up                                   everything, as processes of this machine
  osqdemo scenario bigfile                     a file on a host, followed to a joined row
  osqdemo tail processes --from-beginning -n 1 a message as it is in Kafka
  osqdemo ksql                                 the prompt of ksqlDB
  osqdemo logs host2                           what a host says, as when no line of it comes
  osqdemo down --volumes                       stops everything; nothing stays";

pub(super) const UP: &str = "\
Examples:
  osqdemo up                                   stack `lite` as processes of this machine
  osqdemo up --dry-run                         what would be done, and why
  osqdemo up --engine docker                   the same in containers
  osqdemo up --stack confluent                 Confluent Platform, in containers
  osqdemo up --port broker=19092               this port or none
  osqdemo -p second up --without console       a second project beside the first";

pub(super) const BUILD: &str = "\
Examples:
  osqdemo build                                the images of the stack
  osqdemo build --source .                     compiled from this checkout, inside Docker";

pub(super) const IMAGES: &str = "\
Examples:
  osqdemo images                               which there are, and which are missing
  osqdemo images pull --stack confluent        gets those of registries
  osqdemo images lock                          from now on this content and no other
  osqdemo images save images.tar               for a machine without a network
  osqdemo images load images.tar               and there
  osqdemo images list                          as `osqdemo images`";

pub(super) const DOWN: &str = "\
Examples:
  osqdemo down                                 stops everything, keeps the data
  osqdemo down --volumes                       removes the data as well
  osqdemo down --all --volumes --images        nothing of any project is left";

pub(super) const PROJECTS: &str = "\
Examples:
  osqdemo projects
  osqdemo --json projects                      as data";

pub(super) const PS: &str = "\
Examples:
  osqdemo ps
  osqdemo --json ps                            as data
  osqdemo -v ps                                with what of the hosts' configuration counts for nothing";

pub(super) const LOGS: &str = "\
Examples:
  osqdemo logs                                 of all services
  osqdemo logs -f host1 host2                  as they are written, until Ctrl-C
  osqdemo logs supervisor                      of the process that looks after them";

pub(super) const EXEC: &str = "\
Examples:
  osqdemo exec host2                           a shell
  osqdemo exec host2 -- head -c 1G /dev/urandom
  osqdemo exec host1 -- sh -c 'sleep 60 > myfile'";

pub(super) const ATTACH: &str = "\
Examples:
  osqdemo attach                               the osqueryd on the PATH, else the built-in agent
  osqdemo attach --osqueryd builtin --name laptop
  osqdemo attach --query \"mounts=select device, path from mounts\" --interval 60

Its lines go where those of the hosts go, under this machine's name. When it ends, nothing of it is left, unless lines
wait for a broker that is away: those are kept, and the next `osqdemo attach` delivers them.";

pub(super) const RESTART: &str = "\
Examples:
  osqdemo restart ksqldb-server";

pub(super) const WAIT: &str = "\
Examples:
  osqdemo wait
  osqdemo wait --timeout 2m broker ksqldb-server";

pub(super) const KSQL: &str = "\
Examples:
  osqdemo ksql                                         a prompt
  osqdemo ksql 'LIST STREAMS; DESCRIBE proc'           several statements
  osqdemo ksql 'SELECT * FROM files EMIT CHANGES'      rows as they come, until Ctrl-C
  osqdemo --json ksql \"SET 'auto.offset.reset'='earliest'; SELECT * FROM files EMIT CHANGES LIMIT 5\"
  osqdemo ksql -f statements.sql";

pub(super) const TOPICS: &str = "\
Examples:
  osqdemo topics
  osqdemo topics --details                     with sizes and rates";

pub(super) const GROUPS: &str = "\
Examples:
  osqdemo groups
  osqdemo --json groups                        with every member and partition";

pub(super) const SCHEMAS: &str = "\
Examples:
  osqdemo schemas
  osqdemo schemas list                         the same
  osqdemo schemas show processes-value
  osqdemo schemas check new.avsc --subject processes-value

What it exits with: 2 when the schema could not be registered, 16 on a stack without a registry.";

pub(super) const TOP: &str = "\
Examples:
  osqdemo top
  osqdemo top -n 1                             one look
  osqdemo --json top --interval 10s            as data, every ten seconds";

pub(super) const TAIL: &str = "\
Examples:
  osqdemo tail processes                       new records, until Ctrl-C
  osqdemo tail open_files --from-beginning -n 5";

pub(super) const SCENARIO: &str = "\
Examples:
  osqdemo scenario list
  osqdemo scenario bigfile";

pub(super) const CONFIG: &str = "\
Examples:
  osqdemo config show                          every setting in force, and where it comes from
  osqdemo config show --stack confluent        as if this was typed
  osqdemo config schema > osqdemo.schema.json  for editors
  osqdemo config schema --events               of the lines of events";

pub(super) const SERVE: &str = "\
Examples:
  osqdemo serve broker --data-dir data --listen 127.0.0.1:9092
  osqdemo serve schema-registry --listen 127.0.0.1:8081 --bootstrap-servers 127.0.0.1:9092
  osqdemo serve ksqldb --listen 127.0.0.1:8088 --bootstrap-servers 127.0.0.1:9092
  osqdemo serve console --listen 127.0.0.1:9021 --bootstrap-servers 127.0.0.1:9092";

pub(super) const BIGFILE: &str = "\
Examples:
  osqdemo scenario bigfile
  osqdemo scenario bigfile --size 64M --host host1
  osqdemo scenario bigfile --report junit=report.xml --report json=report.json";

pub(super) const CHAOS: &str = "\
Examples:
  osqdemo chaos                                20 faults, drawn anew
  osqdemo chaos --for 10m --faults kill        as many kills as fit into ten minutes
  osqdemo chaos --faults slow,partition        the ways to the broker
  osqdemo chaos --rounds 200 --seed 7 --report json=chaos.json
  osqdemo chaos --replay chaos.json --rounds 12

What it exits with: 0 when nothing is lost, 20 when something must not be as it is, 21 when something did not come in
time, 16 on a stack without a broker, a ksqlDB server and a host.";

pub(super) const FAULT: &str = "\
Examples:
  osqdemo fault set stop broker                the lines of the hosts wait in their spools
  osqdemo fault list                           what is set, as does `osqdemo fault`
  osqdemo fault clear                          and they arrive
  osqdemo fault set slow host1 --delay 500ms   a slow way to the broker, natively
  osqdemo fault set kill host1/extension       osqueryd starts it again";

pub(super) const DOCTOR: &str = "\
Examples:
  osqdemo doctor
  osqdemo doctor --engine docker --stack confluent";

pub(super) const SMOKE: &str = "\
Examples:
  osqdemo smoke
  osqdemo smoke --report junit=smoke.xml --bundle smoke.tar";

pub(super) const BUNDLE: &str = "\
Examples:
  osqdemo bundle
  osqdemo bundle -o report.tar";

pub(super) const OPEN: &str = "\
Examples:
  osqdemo open
  osqdemo open --print ksqldb-server";

pub(super) const HOST_CONFIG: &str = "\
Examples:
  osqdemo host-config > my.json
  osqdemo up --host-config my.json";

pub(super) const USERS: &str = "\
Examples:
  osqdemo users add laptop                     asks for its password, twice, and does not show it
  osqdemo users add laptop --password-file FILE
  osqdemo users list                           as `osqdemo users`
  osqdemo users remove laptop";

pub(super) const CERTS: &str = "\
Examples:
  osqdemo certs make --host 192.168.1.5
  osqdemo up --listen 192.168.1.5:9093         with somebody made by `osqdemo users add`";

pub(super) const HOST_PACKAGE: &str = "\
Examples:
  osqdemo host-package --advertised kafka.example.org:9093
  osqdemo host-package --output /tmp/host      then read /tmp/host/README.md";

pub(super) const COMPLETIONS: &str = "\
Examples:
  osqdemo completions bash > ~/.local/share/bash-completion/completions/osqdemo
  osqdemo completions zsh > ~/.zfunc/_osqdemo
  osqdemo completions fish > ~/.config/fish/completions/osqdemo.fish";

pub(super) const MAN: &str = "\
Examples:
  osqdemo man ~/.local/share/man/man1";
