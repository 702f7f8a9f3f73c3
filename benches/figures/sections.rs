//! A document of sections, each below a heading `## name`: one is replaced, the others stay as they are, also those
//! that nobody knows.

/// Puts a body below the heading `## name`. A section that is not there yet comes before the next one of `order`.
pub(crate) fn replace(document: &str, name: &str, order: &[&str], body: &str) -> String {
    let (head, mut sections) = split(document);
    let section = (name.to_owned(), format!("\n{}\n", body.trim()));
    let later = order.iter().skip_while(|one| **one != name).skip(1);
    if let Some(own) = sections.iter_mut().find(|(heading, _)| heading == name) {
        *own = section;
    } else {
        let next = later
            .filter_map(|later| sections.iter().position(|(heading, _)| heading == later))
            .min();
        sections.insert(next.unwrap_or(sections.len()), section);
    }
    let mut text = format!("{}\n", head.trim_end());
    for (heading, body) in &sections {
        text.push_str(&format!("\n## {heading}\n\n{}\n", body.trim()));
    }
    text
}

/// What stands before the first section, and each section's heading and body.
fn split(document: &str) -> (String, Vec<(String, String)>) {
    let mut head = String::new();
    let mut sections: Vec<(String, String)> = Vec::new();
    for line in document.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            sections.push((heading.trim().to_owned(), String::new()));
            continue;
        }
        let text = sections.last_mut().map_or(&mut head, |(_, body)| body);
        text.push_str(line);
        text.push('\n');
    }
    (head, sections)
}
