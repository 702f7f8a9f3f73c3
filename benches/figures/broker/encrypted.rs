//! What TLS costs: one broker and one client, in the clear and encrypted, one after the other in each run.

use anyhow::{Context, Result};

use super::{RECORDS, consume, create_topics, produce_to, share};
use crate::figure::{Figure, Report};
use crate::peers::{Broker, Peer};

/// Rates of one way in.
#[derive(Default)]
struct Rates {
    produced: Vec<f64>,
    consumed: Vec<f64>,
}

/// Measures the embedded broker alone.
pub(super) fn measure(runs: usize, report: &mut Report) -> Result<()> {
    let (mut clear, mut encrypted) = (Rates::default(), Rates::default());
    for run in 0..runs {
        let mut broker = Broker::start(Peer::OsqdemoWithTls)?;
        create_topics(&broker, &["rate", "encrypted"])?;
        one_way(&broker, "rate", &mut clear).with_context(|| format!("in the clear, run {}", run + 1))?;
        broker.speak_tls();
        one_way(&broker, "encrypted", &mut encrypted).with_context(|| format!("TLS, run {}", run + 1))?;
    }
    let name = Peer::Osqdemo.name();
    let of = |part: &[f64], whole: &[f64], what: &str| {
        Figure::new(format!("{name}: {what}"), "%", share(part, whole)).at_least(50.0)
    };
    let produced = of(
        &encrypted.produced,
        &clear.produced,
        "over TLS, of what is produced in the clear",
    );
    let consumed = of(
        &encrypted.consumed,
        &clear.consumed,
        "over TLS, of what is consumed in the clear",
    );
    for (what, rates) in [
        ("produce over TLS, librdkafka", encrypted.produced),
        ("consume over TLS, librdkafka", encrypted.consumed),
    ] {
        let figure = Figure::new(format!("{name}: {what}"), "records/s", rates);
        report.add(figure.bound_by("the client"));
    }
    report.add(produced);
    report.add(consumed);
    report.note(
        "TLS is 1.3 with the broker's usual choice of ciphers; the client, which encrypts as much as the broker does, runs on the same cores.",
    );
    Ok(())
}

fn one_way(broker: &Broker, topic: &str, rates: &mut Rates) -> Result<()> {
    rates.produced.push(produce_to(broker, topic, RECORDS)?);
    rates.consumed.push(consume(broker)?);
    Ok(())
}
