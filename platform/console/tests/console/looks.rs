//! How the views look: in light and dark, on a phone, a laptop and a wide screen, beside what a person has looked at and
//! found good. And what does not depend on anyone's taste: every text can be read, everything can be reached by keyboard.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::world::{World, lines, streams};

/// A view: what its screens are called, its address, and what it shows once it is all there.
const VIEWS: [(&str, &str, &str); 10] = [
    ("pipeline", "", "up to date"),
    ("topics", "topics", "open_files"),
    ("messages", "topic/processes?live=no", "3 shown"),
    ("settings", "topic/processes?tab=settings", "retention.ms"),
    ("ksql", "ksql", "PRECISE_FILES"),
    ("hosts", "hosts", "2 scheduled queries"),
    ("host", "host/host2", "processes, as it is now"),
    ("consumers", "consumers", "CSAS_PRECISE_PROC"),
    ("schemas", "schemas", "lines-value"),
    ("runs", "runs", "passed"),
];
const WIDTHS: [u32; 3] = [360, 1000, 1920];
const HEIGHT: u32 = 1000;
/// The screens are kept at a quarter of their width and height: enough to see what moved, too little to see which font drew it.
const SMALLER: usize = 4;
/// Screens are compared in squares of so many of these dots.
const SQUARE: usize = 10;
/// From how far apart on the square differs, of 255, and what share of the squares may: times and rates are never the same.
const MOST: (f64, f64) = (24.0, 0.06);

/// What moves the focus.
const TAB: char = '\u{e004}';

/// The texts that do not stand out enough from what is behind them (WCAG AA), each with its contrast.
const UNREADABLE: &str = r"
    const parts = (color) => (color.match(/[\d.]+/g) ?? []).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((one) => one / 255).map((one) => (one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
      .reduce((sum, one, i) => sum + one * [0.2126, 0.7152, 0.0722][i], 0);
    const over = (top, below) => { const a = top[3] ?? 1; return top.slice(0, 3).map((one, i) => one * a + below[i] * (1 - a)); };
    const behind = (element) => {
      const layers = [];
      const box = element.closest('svg') && element.parentElement.querySelector('rect');
      if (box && !['none', ''].includes(getComputedStyle(box).fill)) layers.push(parts(getComputedStyle(box).fill));
      for (let one = element; one; one = one.parentElement) layers.push(parts(getComputedStyle(one).backgroundColor));
      return layers.reverse().reduce((below, layer) => (layer.length < 3 ? below : over(layer, below)), [255, 255, 255]);
    };
    const found = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const element = texts.currentNode.parentElement;
      const text = texts.currentNode.textContent.trim();
      if (!text || !element.getClientRects().length || element.closest('[disabled], option, title, script, noscript, .skip')) continue;
      const style = getComputedStyle(element);
      const size = parseFloat(style.fontSize);
      const wanted = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
      const below = behind(element);
      const ink = over(parts(element.closest('svg') ? style.fill : style.color), below);
      const [a, b] = [light(ink), light(below)].sort((x, y) => y - x);
      const contrast = (a + 0.05) / (b + 0.05);
      if (contrast < wanted) found.push(`${contrast.toFixed(2)} ${element.className.baseVal ?? element.className}: ${text.slice(0, 40)}`);
    }
    return [...new Set(found)];
";

/// Records as they are in a running pipeline, streams over them, schemas, and a run of the scenario.
async fn furnish(world: &World) {
    lines(world).await;
    streams(world).await;
    let schema = json!({"type": "record", "name": "Line", "fields": [{"name": "host", "type": "string"}]});
    world.register("lines-value", &schema).await;
    let stage = |name: &str, second: u32| json!({"name": name, "at": format!("2026-01-31T12:00:0{second}Z"), "count": 1});
    let report = json!({
        "scenario": "bigfile", "verdict": "passed", "host": "host2", "file": "/home/jay/myfile",
        "stages": [stage("write_started", 0), stage("osquery_line", 1), stage("topic", 2), stage("stream", 3), stage("precise_row", 4)],
    });
    world
        .produce("osqdemo-runs", &[("run", report.to_string().into_bytes())])
        .await;
}

/// A picture, small.
struct Screen {
    width: usize,
    dots: Vec<[u8; 3]>,
}

impl Screen {
    /// Reads a PNG, each of whose dots becomes the mean of `by` times `by`.
    fn read(png: &[u8], by: usize) -> Self {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().unwrap();
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut bytes).unwrap();
        let samples = info.color_type.samples();
        assert!(samples >= 3, "a picture in colours");
        let (width, height) = (info.width as usize, info.height as usize);
        let dot = |x: usize, y: usize| &bytes[y * info.line_size + x * samples..][..3];
        let mut dots = Vec::new();
        for y in 0..height / by {
            for x in 0..width / by {
                let mut sums = [0_usize; 3];
                for (i, j) in (0..by).flat_map(|i| (0..by).map(move |j| (i, j))) {
                    let dot = dot(x * by + i, y * by + j);
                    sums.iter_mut()
                        .zip(dot)
                        .for_each(|(sum, &one)| *sum += usize::from(one));
                }
                dots.push(sums.map(|sum| u8::try_from(sum / (by * by)).unwrap()));
            }
        }
        Self {
            width: width / by,
            dots,
        }
    }

    fn height(&self) -> usize {
        self.dots.len() / self.width
    }

    fn png(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let size = [self.width, self.height()].map(|one| u32::try_from(one).unwrap());
        let mut encoder = png::Encoder::new(&mut bytes, size[0], size[1]);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_compression(png::Compression::High);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(self.dots.as_flattened()).unwrap();
        writer.finish().unwrap();
        bytes
    }

    /// The share of its squares that look otherwise than another picture's.
    fn difference(&self, other: &Self) -> f64 {
        if (self.width, self.dots.len()) != (other.width, other.dots.len()) {
            return 1.0;
        }
        let (columns, rows) = (self.width / SQUARE, self.height() / SQUARE);
        let differs = |column: usize, row: usize| {
            let mut sum = 0.0;
            for (x, y) in (0..SQUARE).flat_map(|x| (0..SQUARE).map(move |y| (x, y))) {
                let at = (row * SQUARE + y) * self.width + column * SQUARE + x;
                let pairs = self.dots[at].iter().zip(other.dots[at]);
                sum += pairs.map(|(&a, b)| f64::from(a.abs_diff(b))).sum::<f64>() / 3.0;
            }
            let squared = u32::try_from(SQUARE * SQUARE).unwrap();
            sum / f64::from(squared) > MOST.0
        };
        let squares = (0..columns).flat_map(|column| (0..rows).map(move |row| (column, row)));
        let count = |number: usize| f64::from(u32::try_from(number).unwrap());
        count(squares.filter(|&(column, row)| differs(column, row)).count()) / count(columns * rows)
    }
}

fn kept(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/console/screens");
    folder.join(format!("{name}.png"))
}

#[tokio::test]
async fn every_view_looks_as_it_was_found_good() {
    let Some(browser) = Browser::start(1400).await else {
        return;
    };
    let world = World::with_registry().await;
    furnish(&world).await;
    let keeps = std::env::var_os("OSQDEMO_KEEP_SCREENS").is_some();
    let mut complaints = Vec::new();
    for (name, address, text) in VIEWS {
        browser.open(&world.url(&format!("/#/{address}"))).await;
        browser.sees(text).await;
        for width in WIDTHS {
            browser.resize(width, HEIGHT).await;
            for theme in ["light", "dark"] {
                let set = format!("document.documentElement.dataset.theme = '{theme}'");
                browser.ask(&set).await;
                let screen = format!("{name}-{width}-{theme}");
                browser.until("it is drawn", "return await new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(() => drawn(true))))").await;
                let unreadable = browser.ask(UNREADABLE).await;
                if unreadable != json!([]) {
                    complaints.push(format!("{screen}: too little contrast: {unreadable}"));
                }
                let is_wider = browser
                    .ask("return document.documentElement.scrollWidth > innerWidth")
                    .await;
                if is_wider != json!(false) {
                    complaints.push(format!("{screen}: wider than its screen"));
                }
                let seen = Screen::read(&browser.page.screenshot().await.unwrap(), SMALLER);
                if keeps {
                    fs::write(kept(&screen), seen.png()).unwrap();
                    continue;
                }
                let known = fs::read(kept(&screen)).map(|png| Screen::read(&png, 1));
                let difference = known.map_or(1.0, |known| seen.difference(&known));
                if difference > MOST.1 {
                    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{screen}.png"));
                    fs::write(&path, seen.png()).unwrap();
                    complaints.push(format!(
                        "{screen}: {:.0} % of it looks otherwise; it is in {}",
                        difference * 100.0,
                        path.display()
                    ));
                }
            }
        }
    }
    browser.stop().await;
    world.stop().await;
    assert!(
        complaints.is_empty(),
        "{}\nOSQDEMO_KEEP_SCREENS=1 keeps what is seen now: look at it first",
        complaints.join("\n")
    );
}

#[tokio::test]
async fn everything_is_reached_by_keyboard_in_the_order_it_stands() {
    let Some(browser) = Browser::start(1400).await else {
        return;
    };
    let world = World::with_registry().await;
    furnish(&world).await;
    // The pipeline is whole once its hosts and its own live query are in it; it comes last, because the other views would
    // list that query for a moment longer.
    for (view, texts) in [
        ("topics", &["open_files"][..]),
        ("ksql", &["functions"]),
        ("hosts", &["host2"]),
        ("consumers", &["CSAS_PRECISE_PROC", "steady"]),
        ("", &["silent for", "LIVE QUERIES"]),
    ] {
        browser.open(&world.url(&format!("/#/{view}"))).await;
        for text in texts {
            browser.sees(text).await;
        }
        // By its address, or its name up to the first number: what stands behind that changes meanwhile.
        let named = "const named = (one) => one.getAttribute('href') ?? (one.getAttribute('aria-label') ?? (one.textContent.trim() || one.closest('label')?.textContent.trim() || one.value || '')).replace(/[<\\d][^]*/, '');";
        let wanted = browser
            .ask(&format!(
                "{named} return [...document.querySelectorAll('a[href], button, input, select, textarea, summary, [tabindex=\"0\"]')] \
                 .filter((one) => !one.disabled && one.tabIndex >= 0 && one.getClientRects().length && one.checkVisibility()).map(named)"
            ))
            .await;
        let wanted = wanted.as_array().unwrap();
        // From wherever the view has put the focus around to the first, and from there on.
        let focused = format!("{named} return named(document.activeElement)");
        for _ in 0..=wanted.len() {
            browser.press(TAB).await;
            if browser.ask(&focused).await == wanted[0] {
                break;
            }
        }
        let mut reached: Vec<Value> = vec![browser.ask(&focused).await];
        while reached.len() < wanted.len() {
            browser.press(TAB).await;
            reached.push(browser.ask(&focused).await);
        }
        assert_eq!(&reached, wanted, "{view}");
    }
    browser.stop().await;
    world.stop().await;
}
