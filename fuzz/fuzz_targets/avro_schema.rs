//! Any text is an Avro schema or an error; the canonical text of a schema is that of itself, and says the same. Where
//! there are namespaces, Java's text can name another type than was meant, and so can ours.
#![no_main]

use libfuzzer_sys::fuzz_target;
use osqdemo_avro::Schema;
use osqdemo_fuzz as _;

fuzz_target!(|text: &str| {
    let Ok(schema) = Schema::parse(text) else { return };
    let canonical = schema.canonical_text();
    if !canonical.contains('.') && !canonical.contains("namespace") {
        let again = Schema::parse(&canonical).expect("the canonical text is a schema");
        assert_eq!(again.canonical_text(), canonical);
        assert!(again.is_equivalent(&schema), "{text}");
    }
    let normalized = schema.normalized();
    assert_eq!(normalized.clone().normalized().canonical_text(), normalized.canonical_text());
});
