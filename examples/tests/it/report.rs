//! The report of inspect: one page in which everything of an image is text.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use image_core::{Ctx, History, ImageConfig, ImageEdit, Platform, Timestamp};
use image_layout::OciLayout;
use image_overlay::{Entry, EntryKind, LayerPath, LayerWriter, Metadata, PackOptions, Whiteout};
use test_support::{require_tool, temp_dir, tool};

use crate::program::{image, program, succeed};

/// Text that does something wherever a page takes it for more than text.
const HOSTILE: [&str; 9] = [
    "</script><script>document.title='broken'</script>",
    "</title></style><img src=x onerror=\"document.title='broken'\">",
    "\"><svg onload=\"document.title='broken'\">",
    "' onmouseover='document.title=1",
    "<!--<script>",
    "]]>&lt;b&gt;&amp;",
    "\u{202e}gnp.exe",
    "\u{1b}[2Jclear\u{7f}\0null",
    "javascript:document.title='broken'",
];

/// All elements that the page is made of.
const ELEMENTS: [&str; 44] = [
    "html", "head", "meta", "title", "style", "body", "header", "h1", "h2", "p", "b", "nav", "a", "button", "main",
    "div", "span", "section", "svg", "g", "rect", "text", "tspan", "table", "thead", "tbody", "tr", "th", "td", "i",
    "code", "br", "small", "ul", "li", "input", "details", "summary", "pre", "footer", "script", "ol", "em", "hr",
];

/// A layout with an image of which every text and every name is hostile; paths hold no NUL bytes.
fn hostile(directory: &Path) -> PathBuf {
    let layout = OciLayout::create(directory.join("layout")).unwrap();
    let ctx = Ctx::default();
    let mut names: Vec<Vec<u8>> =
        HOSTILE.iter().map(|text| text.replace('/', "\u{2215}").replace('\0', "").into_bytes()).collect();
    names.push(b"\xff\xfe<b>".to_vec());
    names.push(vec![b'<'; 255]);
    names.sort();
    let mut edit = ImageEdit::new(ImageConfig::new(&Platform::new("linux", HOSTILE[2])));
    for (number, hostile) in HOSTILE.iter().enumerate() {
        let mut layer = LayerWriter::new(layout.blobs(), PackOptions::default()).unwrap();
        for name in &names {
            let path = [format!("d{number}/").as_bytes(), name, b"/", name].concat();
            let content = vec![b'x'; 1000 * (number + 1)];
            let kind = EntryKind::File { size: content.len() as u64 };
            let entry = Entry::new(LayerPath::parse(&path).unwrap(), kind, Metadata::new(0o644));
            layer.append(entry, &mut &content[..], &ctx).unwrap();
        }
        let layer = layer.finish().unwrap();
        let history = History::new(Timestamp::from_seconds(number as i64 * 100), *hostile).with_comment(*hostile);
        edit.push_layer(&layer.descriptor, layer.diff_id, history);
    }
    // What the last layer removes is told among what is wasted.
    let mut layer = LayerWriter::new(layout.blobs(), PackOptions::default()).unwrap();
    for name in &names {
        let target = [b"d0/", &name[..], b"/", &name[..]].concat();
        if let Ok(target) = LayerPath::parse(&target)
            && target.file_name().is_some_and(|name| name.len() < 250)
        {
            layer.whiteout(&Whiteout::Plain { target }, &ctx).unwrap();
        }
    }
    let layer = layer.finish().unwrap();
    edit.push_layer(&layer.descriptor, layer.diff_id, History::new(Timestamp::UNIX_EPOCH, "removes"));
    let texts = || HOSTILE.iter().map(|text| (*text).to_owned());
    edit.config.author = Some(HOSTILE[0].into());
    let config = &mut edit.config.config;
    config.user = HOSTILE[1].into();
    config.working_dir = HOSTILE[2].into();
    config.cmd = Some(texts().collect());
    config.env = texts().collect();
    config.labels = texts().map(|text| (text.clone(), text)).collect();
    edit.annotations = texts().map(|text| (text.clone(), text)).collect();
    layout.tag("hostile", &edit.write(layout.blobs()).unwrap()).unwrap();
    layout.path().to_owned()
}

fn report(of: &str, directory: &Path) -> (PathBuf, String) {
    let file = directory.join("report.html");
    let said = succeed(program("inspect").arg(of).arg("--html").arg(&file));
    assert!(said.stdout.ends_with(&format!("\nreport: {}\n", file.display())), "{said}");
    let page = fs::read_to_string(&file).unwrap();
    (file, page)
}

/// The names of elements in a page, and of their attributes. What is in style and script is passed over.
fn parse(page: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut elements, mut attributes) = (BTreeSet::new(), BTreeSet::new());
    let mut rest = page;
    while let Some((text, tag)) = rest.split_once('<') {
        assert!(!text.contains('>'), "a bare > in {text:?}");
        let (tag, after) = tag.split_once('>').expect("every tag ends");
        rest = after;
        let Some(tag) = tag.strip_prefix('/').map_or(Some(tag), |_| None) else { continue };
        if tag == "!doctype html" {
            continue;
        }
        let name: String = tag.chars().take_while(char::is_ascii_alphanumeric).collect();
        let mut quoted = tag.split('"');
        while let Some(names) = quoted.next() {
            let names = names.strip_prefix(&name).unwrap_or(names);
            attributes.extend(names.split([' ', '=', '/']).filter(|name| !name.is_empty()).map(str::to_owned));
            quoted.next();
        }
        if name == "style" || name == "script" {
            let end = format!("</{name}>");
            rest = rest.split_once(&end).expect("style and script end").1;
        }
        elements.insert(name);
    }
    (elements, attributes)
}

#[test]
fn nothing_of_an_image_is_markup() {
    let dir = temp_dir();
    let layout = hostile(dir.path());
    let (_, page) = report(&image(&layout, "hostile"), dir.path());
    let (elements, attributes) = parse(&page);
    let known: BTreeSet<String> = ELEMENTS.map(str::to_owned).into();
    assert!(elements.is_subset(&known), "{elements:?}");
    assert!(
        attributes.iter().all(|name| !name.starts_with("on") && name != "src" && name != "style"),
        "{attributes:?}"
    );
    assert_eq!(page.matches("<script").count(), 1);
    assert!(!page.contains("://"), "nothing is loaded from anywhere");
    let odd = |c: &char| c.is_control() && *c != '\n' || ('\u{202a}'..='\u{202e}').contains(c);
    assert_eq!(page.chars().find(odd), None);
    // It is there, and as text.
    assert!(page.contains("&lt;/script&gt;&lt;script&gt;document.title=&#39;broken&#39;"));
    assert!(page.contains("\\u{202e}gnp.exe"));
}

#[test]
fn the_same_image_gives_the_same_page() {
    let dir = temp_dir();
    let of = image(&hostile(dir.path()), "hostile");
    assert_eq!(report(&of, dir.path()).1, report(&of, dir.path()).1);
}

#[test]
fn the_page_of_many_files_is_small_and_says_what_it_lacks() {
    let dir = temp_dir();
    let layout = OciLayout::create(dir.path().join("layout")).unwrap();
    let ctx = Ctx::default();
    let mut edit = ImageEdit::new(ImageConfig::new(&Platform::of_target()));
    let mut layer = LayerWriter::new(layout.blobs(), PackOptions::default()).unwrap();
    for number in 0..100_000_u32 {
        let path = format!("srv/{:03}/a-name-that-is-neither-long-nor-short-{number:06}", number / 100);
        let kind = EntryKind::File { size: 1 };
        let entry = Entry::new(LayerPath::parse(path.as_bytes()).unwrap(), kind, Metadata::new(0o644));
        layer.append(entry, &mut &b"x"[..], &ctx).unwrap();
    }
    let layer = layer.finish().unwrap();
    edit.push_layer(&layer.descriptor, layer.diff_id, History::new(Timestamp::UNIX_EPOCH, "many"));
    layout.tag("many", &edit.write(layout.blobs()).unwrap()).unwrap();
    let (_, page) = report(&image(layout.path(), "many"), dir.path());
    assert!(page.len() < 5 << 20, "{} bytes", page.len());
    assert!(page.contains("more paths are not shown"));
    assert!(page.contains("100\u{202f}000 files"), "all of them are counted");
}

#[test]
fn chromium_runs_its_own_script_and_no_other() {
    if !require_tool("chromium") {
        return;
    }
    let dir = temp_dir();
    let layout = hostile(dir.path());
    let (file, page) = report(&image(&layout, "hostile"), dir.path());
    let mut chromium = Command::new("chromium");
    chromium.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--dump-dom"]);
    chromium.arg(format!("--user-data-dir={}", dir.path().join("profile").display()));
    chromium.arg(format!("file://{}#search=d1+exe", file.display())).env("HOME", dir.path());
    let dom = tool::run(&mut chromium);
    assert!(!dom.contains("<title>broken"), "a script of the image ran");
    assert_eq!(dom.matches("<img").count() + dom.matches("<svg onload").count(), 0);
    assert_eq!(dom.matches("<script").count(), 1);
    // The page's own ran: it shows the search, and that it found a directory and the file in it.
    assert!(page.contains("aria-label=\"Search the paths below\" hidden>"), "without it there is no search");
    assert!(!dom.contains("aria-label=\"Search the paths below\" hidden"), "the script did not run");
    assert!(dom.contains("role=\"status\">2 found<"), "the script did not search");
}
