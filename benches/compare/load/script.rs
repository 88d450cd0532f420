//! The Lua files that wrk reads.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::objects::Objects;
use super::request::Request;
use crate::Outcome;

/// Asks for one path, with the prepared heads in turn. Arguments: the path,
/// and how many milliseconds a connection waits before each request.
const ONE_PATH: &str = r#"
local n = 0
function init(args)
  for i, head in ipairs(heads) do heads[i] = "GET " .. args[1] .. head end
  think(tonumber(args[2]))
end
function request()
  n = n % #heads + 1
  return heads[n]
end
"#;

/// Asks for the objects. Arguments: `draws` or `each` (all of them once in
/// each variant), the milliseconds, and where in the draws to begin.
const OBJECTS: &str = r#"
local order, n = {}, 0
function init(args)
  think(tonumber(args[2]))
  n = tonumber(args[3])
  if args[1] == "draws" then
    for draw in draws:gmatch("%d+") do order[#order + 1] = tonumber(draw) end
  else
    request = each
  end
end
function request()
  n = n + 1
  return "GET " .. paths[order[n % #order + 1] + 1] .. heads[n % #heads + 1]
end
function each()
  local object, round = n % #paths, math.floor(n / #paths)
  n = n + 1
  return "GET " .. paths[object + 1] .. heads[round % 2 == 0 and 1 or 4]
end
"#;

/// Asks for one object after the other, none twice. Arguments: the path in
/// front of its number, the milliseconds, and the number to begin with.
const NEW: &str = r#"
local path, n
function init(args)
  path, n = args[1], tonumber(args[3])
end
function request()
  n = n + 1
  return "GET " .. path .. n .. ".jpg" .. heads[1]
end
"#;

/// What all need: a think time, and the result as JSON. The times are
/// exponential, in whole milliseconds that are right on average: were they all
/// the same, the connections would come in bursts.
const ALL: &str = r#"
function think(milliseconds)
  if milliseconds > 0 then
    function delay() return math.floor(math.random() - milliseconds * math.log(1 - math.random())) end
  end
end
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    'result {"requests":%d,"microseconds":%d,"bytes":%d,"denied":%d,"broken":%d,"p50":%d,"p99":%d}\n',
    summary.requests, summary.duration, summary.bytes, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"#;

/// Writes one that asks for a path.
pub(crate) fn one_path(folder: &Path, name: &str, requests: &[Request]) -> Outcome<PathBuf> {
    write(folder, name, &(heads(requests) + ALL + ONE_PATH))
}

/// Writes one that asks for something new each time.
pub(crate) fn new_ones(folder: &Path, name: &str, requests: &[Request]) -> Outcome<PathBuf> {
    write(folder, name, &(heads(&requests[..1]) + ALL + NEW))
}

/// Writes one that asks for the objects.
pub(crate) fn objects(
    folder: &Path,
    name: &str,
    requests: &[Request],
    objects: &Objects,
) -> Outcome<PathBuf> {
    let mut text = heads(requests) + "local paths = {\n";
    for path in objects.paths() {
        writeln!(text, "{path:?},")?;
    }
    text.push_str("}\nlocal draws = \"");
    for draw in &objects.draws {
        write!(text, "{draw} ")?;
    }
    text.push_str("\"\n");
    write(folder, name, &(text + ALL + OBJECTS))
}

fn heads(requests: &[Request]) -> String {
    let mut text = "local heads = {\n".to_owned();
    for request in requests {
        let head = request.head();
        let escaped = head.replace('\\', "\\\\").replace('"', "\\\"");
        let escaped = escaped.replace('\r', "\\r").replace('\n', "\\n");
        writeln!(text, "\"{escaped}\",").expect("a String takes all");
    }
    text + "}\n"
}

fn write(folder: &Path, name: &str, text: &str) -> Outcome<PathBuf> {
    let path = folder.join(name);
    fs::write(&path, text)?;
    Ok(path)
}
