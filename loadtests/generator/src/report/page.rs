//! The HTML page. Whoever gets the file sees it as it was made: nothing is loaded, nothing runs.

use super::chart::escape;
use super::growth;
use super::pictures::{Picture, pictures};
use super::{Figure, Report, spell};
use crate::verdict::Check;

pub(super) fn page(report: &Report) -> String {
    let name = escape(&report.name);
    let (word, class) = if report.pass {
        ("PASS", "pass")
    } else {
        ("FAIL", "fail")
    };
    let pictures: String = pictures(report).iter().map(section).collect();
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{word} · {name}</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>{name} <span class="badge {class}">{word}</span></h1>
<p class="about">{about}</p>
</header>
<main>
{tiles}
{pictures}{growths}
<section>
<h2>Verdict</h2>
<table class="checks"><thead><tr><th scope="col">Must hold</th><th scope="col">Seen</th><th scope="col">Verdict</th></tr></thead>
<tbody>{checks}</tbody></table>
</section>
<section>
<h2>Figures</h2>
<table class="figures"><tbody>{figures}</tbody></table>
</section>
</main>
<footer>Seed {seed}. Made by holdfast-load.</footer>
</body>
</html>
"#,
        about = escape(&report.about),
        tiles = tiles(report),
        growths = growth::sections(&report.growths),
        checks = report.verdict.checks.iter().map(check).collect::<String>(),
        figures = report.figures.iter().map(figure).collect::<String>(),
        seed = report.seed,
    )
}

/// The figures that matter most, in large type.
fn tiles(report: &Report) -> String {
    let found = &report.findings;
    if found.sent == 0 {
        return String::new(); // A load of others.
    }
    let percentile = |percent: f64| {
        let found = report.latency.iter().find(|it| it.percent == percent);
        let us = found.map(|it| it.us);
        us.map_or("–".to_owned(), |us| {
            spell(std::time::Duration::from_micros(us))
        })
    };
    let mut tiles = vec![
        ("sent", found.sent.to_string(), ""),
        ("answered", found.answered.to_string(), ""),
        (
            "lost",
            found.lost().to_string(),
            if found.lost() == 0 { "good" } else { "bad" },
        ),
    ];
    if found.refused() > 0 {
        tiles.push(("refused by the proxy", found.refused().to_string(), ""));
    }
    if found.held > 0 {
        tiles.push(("held", found.held.to_string(), ""));
        tiles.push(("longest hold", spell(found.longest_hold), ""));
    }
    tiles.push(("p50", percentile(50.0), ""));
    tiles.push(("p99", percentile(99.0), ""));
    let tile = |(name, value, class): (&str, String, &str)| {
        format!(r#"<div class="tile {class}"><dt>{name}</dt><dd>{value}</dd></div>"#)
    };
    let tiles: String = tiles.into_iter().map(tile).collect();
    format!(r#"<dl class="tiles">{tiles}</dl>"#)
}

fn section(picture: &Picture) -> String {
    let key = |(class, name): &(&str, &str)| {
        format!(r#"<li><span class="swatch {class}"></span>{name}</li>"#)
    };
    let legend: String = picture.legend.iter().map(key).collect();
    let Picture {
        heading,
        words,
        svg,
        ..
    } = picture;
    format!(
        r#"<section><h2>{heading}</h2><p>{words}</p><ul class="legend">{legend}</ul><figure>{svg}</figure></section>
"#
    )
}

fn check(Check { must, seen, pass }: &Check) -> String {
    let (word, class) = if *pass {
        ("pass", "pass")
    } else {
        ("FAIL", "fail")
    };
    let (must, seen) = (escape(must), escape(seen));
    format!(
        r#"<tr><td>{must}</td><td>{seen}</td><td><span class="badge {class}">{word}</span></td></tr>"#
    )
}

fn figure(Figure { name, value }: &Figure) -> String {
    let (name, value) = (escape(name), escape(value));
    format!(r#"<tr><th scope="row">{name}</th><td>{value}</td></tr>"#)
}

const STYLE: &str = "
:root { --paper: #faf9f6; --card: #ffffff; --ink: #1d2129; --soft: #5c6370; --line: #e3e1da; --p50: #1f6fb2; --p99: #c4611a;
  --max: #9a9ca3; --held: #6d4fa3; --refused: #b98a00; --lost: #c62f3b; --good: #1d7d4f; --mark: #1d2129; }
@media (prefers-color-scheme: dark) {
:root { --paper: #14161b; --card: #1c1f26; --ink: #e9e7e2; --soft: #a0a5b1; --line: #31353f; --p50: #6cb4f5; --p99: #f3a45c;
  --max: #767b87; --held: #b49af0; --refused: #e3bd4f; --lost: #ff7880; --good: #5ecf95; --mark: #e9e7e2; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1040px; padding: 2.5rem 1.25rem 3rem; background: var(--paper); color: var(--ink);
  font: 16px/1.55 ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; }
h1 { font-size: 2rem; letter-spacing: -.02em; margin: 0; display: flex; align-items: center; gap: .9rem; flex-wrap: wrap; }
h2 { font-size: 1.15rem; margin: 0 0 .2rem; }
p { margin: 0; color: var(--soft); } .about { font-size: 1.05rem; margin-top: .35rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1.2rem 1.4rem; margin-top: 1.1rem;
  overflow-x: auto; }
.badge { font-size: .78rem; font-weight: 700; letter-spacing: .05em; padding: .18rem .6rem; border-radius: 99px; border: 1.5px solid; }
.badge.pass { color: var(--good); } .badge.fail { color: var(--lost); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(112px, 1fr)); gap: .8rem; margin: 1.6rem 0 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: .7rem 1rem; }
.tile dt { color: var(--soft); font-size: .82rem; } .tile dd { margin: 0; font-size: 1.45rem; font-weight: 650;
  font-variant-numeric: tabular-nums; letter-spacing: -.01em; }
.tile.good dd { color: var(--good); } .tile.bad dd { color: var(--lost); }
figure { margin: .6rem 0 0; } svg { display: block; width: 100%; min-width: 560px; height: auto; }
svg text { fill: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; } svg .name { fill: var(--ink); }
.grid { stroke: var(--line); } .axis { stroke: var(--soft); } .mark { stroke: var(--mark); stroke-dasharray: 3 3; opacity: .55; }
.line { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; }
.line.p50 { stroke: var(--p50); } .line.p99 { stroke: var(--p99); } .line.max { stroke: var(--max); stroke-width: 1.2; }
.line.held { stroke: var(--held); } .line.refused { stroke: var(--refused); } .line.lost { stroke: var(--lost); }
.area { stroke: none; opacity: .75; } .area.p99 { fill: var(--p99); opacity: .13; } .area.held { fill: var(--held); }
.area.refused { fill: var(--refused); } .area.lost { fill: var(--lost); }
.tip { fill: transparent; } .tip:hover { fill: var(--ink); opacity: .07; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .2rem 1.3rem; margin: .5rem 0 0; padding: 0; font-size: .88rem; }
.swatch { display: inline-block; width: 1.1em; height: .3em; border-radius: 2px; margin-right: .45em; vertical-align: middle; }
.swatch.p50 { background: var(--p50); } .swatch.p99 { background: var(--p99); } .swatch.max { background: var(--max); }
.swatch.held { background: var(--held); } .swatch.refused { background: var(--refused); } .swatch.lost { background: var(--lost); }
table { border-collapse: collapse; width: 100%; font-size: .94rem; margin-top: .5rem; }
th, td { text-align: left; padding: .42rem .8rem .42rem 0; border-top: 1px solid var(--line); vertical-align: top; font-weight: 400; }
thead th { border: 0; color: var(--soft); font-size: .84rem; } tbody th { color: var(--soft); width: 55%; }
.figures td { font-variant-numeric: tabular-nums; }
footer { margin-top: 1.4rem; color: var(--soft); font-size: .85rem; }
";
