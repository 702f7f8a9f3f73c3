//! The page's files, embedded. There is no build step: what lies in `page/` is what the browser gets.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

use crate::server::App;

/// Everything comes from the console itself, and nothing of it is written into the page.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; font-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Where the token stands in `index.html`.
const TOKEN_PLACE: &str = "{{token}}";

/// A file of the page.
struct Asset {
    path: &'static str,
    media_type: &'static str,
    text: &'static str,
}

macro_rules! assets {
    ($($path:literal => $media_type:literal),* $(,)?) => {
        &[$(Asset {
            path: $path,
            media_type: $media_type,
            text: include_str!(concat!("../page/", $path)),
        }),*]
    };
}

const ASSETS: &[Asset] = assets! {
    "index.html" => "text/html; charset=utf-8",
    "app.js" => "text/javascript; charset=utf-8",
    "icon.svg" => "image/svg+xml",
    "parts/chart.js" => "text/javascript; charset=utf-8",
    "parts/dialog.js" => "text/javascript; charset=utf-8",
    "parts/dom.js" => "text/javascript; charset=utf-8",
    "parts/editor.js" => "text/javascript; charset=utf-8",
    "parts/format.js" => "text/javascript; charset=utf-8",
    "parts/graph.js" => "text/javascript; charset=utf-8",
    "parts/plan.js" => "text/javascript; charset=utf-8",
    "parts/record.js" => "text/javascript; charset=utf-8",
    "parts/server.js" => "text/javascript; charset=utf-8",
    "parts/stream_form.js" => "text/javascript; charset=utf-8",
    "parts/table.js" => "text/javascript; charset=utf-8",
    "views/brokers.js" => "text/javascript; charset=utf-8",
    "views/consumers.js" => "text/javascript; charset=utf-8",
    "views/hosts.js" => "text/javascript; charset=utf-8",
    "views/ksql.js" => "text/javascript; charset=utf-8",
    "views/pipeline.js" => "text/javascript; charset=utf-8",
    "views/process.js" => "text/javascript; charset=utf-8",
    "views/runs.js" => "text/javascript; charset=utf-8",
    "views/schemas.js" => "text/javascript; charset=utf-8",
    "views/topic.js" => "text/javascript; charset=utf-8",
    "views/topics.js" => "text/javascript; charset=utf-8",
    "style/base.css" => "text/css; charset=utf-8",
    "style/parts.css" => "text/css; charset=utf-8",
    "style/views.css" => "text/css; charset=utf-8",
};

/// The demo's own statements, for the editor.
const SNIPPETS: &[Asset] = &[
    snippet(
        "snippets/sources.sql",
        include_str!("../../../ksql/01-sources.sql"),
    ),
    snippet(
        "snippets/original-streams.sql",
        include_str!("../../../ksql/02-streams.sql"),
    ),
    snippet(
        "snippets/precise-streams.sql",
        include_str!("../../../ksql/03-precise.sql"),
    ),
    snippet(
        "snippets/original.sql",
        include_str!("../../../ksql/queries/original.sql"),
    ),
    snippet(
        "snippets/precise.sql",
        include_str!("../../../ksql/queries/precise.sql"),
    ),
];

const fn snippet(path: &'static str, text: &'static str) -> Asset {
    Asset {
        path,
        media_type: "text/plain; charset=utf-8",
        text,
    }
}

/// Serves a file of the page; any other path is not found.
pub(crate) async fn serve(State(app): State<App>, uri: Uri, headers: HeaderMap) -> Response {
    let path = match uri.path().trim_start_matches('/') {
        "" => "index.html",
        path => path,
    };
    let Some(asset) = ASSETS.iter().chain(SNIPPETS).find(|asset| asset.path == path) else {
        return (StatusCode::NOT_FOUND, "not found\n").into_response();
    };
    let text = asset.text.replace(TOKEN_PLACE, app.guard.token());
    let tag = tag_of(&text);
    let common = [
        (header::ETAG, tag.clone()),
        // The browser asks each time and is mostly told that nothing changed: a restarted console has a new token.
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (
            header::CONTENT_SECURITY_POLICY,
            CONTENT_SECURITY_POLICY.to_owned(),
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    if headers
        .get(header::IF_NONE_MATCH)
        .is_some_and(|known| known.as_bytes() == tag.as_bytes())
    {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, [(header::CONTENT_TYPE, asset.media_type)], text).into_response()
}

fn tag_of(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let mut tag = String::from("\"");
    for byte in &digest[..12] {
        // Writing to a string does not fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Write as _;
    use std::path::Path;

    use super::*;

    /// What the whole console may weigh on the wire.
    const BUDGET: usize = 96 * 1024;

    #[test]
    fn every_file_of_the_folder_is_served_and_none_loads_anything_from_elsewhere() {
        let mut there = BTreeSet::new();
        for folder in ["", "parts", "views", "style"] {
            for entry in
                std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("page").join(folder)).unwrap()
            {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                if entry.file_type().unwrap().is_file() && name != "README.md" {
                    there.insert(if folder.is_empty() {
                        name
                    } else {
                        format!("{folder}/{name}")
                    });
                }
            }
        }
        let served: BTreeSet<String> = ASSETS.iter().map(|asset| asset.path.to_owned()).collect();
        assert_eq!(there, served);
        for asset in ASSETS {
            for far in ["http://", "https://"] {
                for (at, _) in asset.text.match_indices(far) {
                    let rest = &asset.text[at..];
                    assert!(
                        rest.starts_with("http://www.w3.org/"),
                        "{}: {:.60}",
                        asset.path,
                        rest
                    );
                }
            }
        }
    }

    #[test]
    fn the_page_stays_small() {
        let mut packed = 0;
        for asset in ASSETS {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            encoder.write_all(asset.text.as_bytes()).unwrap();
            packed += encoder.finish().unwrap().len();
            if asset.path.starts_with("views/") {
                assert!(
                    asset.text.lines().count() <= 300,
                    "{} is longer than a view may be",
                    asset.path
                );
            }
        }
        assert!(packed <= BUDGET, "{packed} bytes");
    }
}
