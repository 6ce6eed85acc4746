//! Parameters of a query: read one by one, refused in FastAPI's shape. Those that nobody asks for are passed over.

use uuid::Uuid;

use crate::app::respond::{Invalid, Place, Problem};
use crate::app::sessions;
use crate::app::views::{Page, Wanted};
use crate::limits::Limits;
use crate::store::SessionPlace;
use crate::wire::http1::QueryPairs;

/// The first value of a parameter.
pub(super) fn parameter(query: &str, wanted: &str) -> Result<Option<String>, Problem> {
    for pair in QueryPairs::new(query) {
        let (name, value) = pair.map_err(|bad| Problem::new(400, bad.to_string()))?;
        if name == wanted {
            return Ok(Some(value.into_owned()));
        }
    }
    Ok(None)
}

/// A whole number within bounds.
pub(super) fn number(
    query: &str,
    name: &'static str,
    default: usize,
    min: usize,
    max: usize,
) -> Result<usize, Problem> {
    let Some(text) = parameter(query, name)? else { return Ok(default) };
    let digits = text.strip_prefix('-').unwrap_or(&text);
    match text.parse::<usize>() {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        // It is a number, only none that would do.
        _ if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Err(Problem::invalid(Invalid::out_of_range("query", name, min, max)))
        }
        _ => Err(Problem::invalid(Invalid::not_an_integer("query", name))),
    }
}

/// Yes or no, in the words that FastAPI takes for them.
pub(super) fn flag(query: &str, name: &'static str) -> Result<bool, Problem> {
    let Some(text) = parameter(query, name)? else { return Ok(false) };
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" | "t" | "y" => Ok(true),
        "false" | "0" | "no" | "off" | "f" | "n" => Ok(false),
        _ => {
            let msg = "Input should be a valid boolean, unable to interpret input";
            let place = [Place::Name("query"), Place::Name(name)];
            Err(Problem::invalid(Invalid::new("bool_parsing", &place, msg)))
        }
    }
}

/// A text that must be there and have something in it.
fn words(query: &str, name: &'static str) -> Result<Box<str>, Problem> {
    let place = [Place::Name("query"), Place::Name(name)];
    match parameter(query, name)? {
        None => Err(Problem::invalid(Invalid::new("missing", &place, "Field required"))),
        Some(text) if text.trim().is_empty() => {
            let msg = "String should have at least 1 character";
            Err(Problem::invalid(Invalid::new("string_too_short", &place, msg)))
        }
        Some(text) => Ok(text.into()),
    }
}

/// A page of `GET /tasks`: how many, and before which.
pub(super) fn tasks_page(query: &str) -> Result<(usize, Option<Uuid>), Problem> {
    let limit = number(query, "limit", 100, 1, 1000)?;
    let before = parameter(query, "before")?.map(|text| {
        Uuid::try_parse(&text).map_err(|_| Problem::invalid(Invalid::not_an_id("query", "before")))
    });
    Ok((limit, before.transpose()?))
}

/// A page of `GET /sessions`: how many, and behind which.
pub(super) fn sessions_page(query: &str, limits: &Limits) -> Result<(usize, Option<SessionPlace>), Problem> {
    let limit = number(query, "limit", 100, 1, 1000)?;
    let Some(text) = parameter(query, "after")? else { return Ok((limit, None)) };
    let place = sessions::read_place(&text, limits).ok_or_else(|| {
        let place = [Place::Name("query"), Place::Name("after")];
        let msg = "Input should be what an answer gave as next";
        Problem::invalid(Invalid::new("value_error", &place, msg))
    })?;
    Ok((limit, Some(place)))
}

// --- Views of the notes -------------------------------------------------------------------------------------------

fn page(query: &str, default: usize, max: usize) -> Result<Page, Problem> {
    let limit = number(query, "limit", default, 1, max)?;
    let after = parameter(query, "after")?.map(Into::into);
    Ok(Page { limit, after })
}

/// `GET /notes`, or with a category of its path's `GET /notes/{category}`.
pub(super) fn notes(query: &str, category: Option<Box<str>>) -> Result<Wanted, Problem> {
    let category = match category {
        Some(category) => Some(category),
        None => parameter(query, "category")?.map(Into::into),
    };
    let tag = parameter(query, "tag")?.map(|tag| tag.trim_start_matches('#').into());
    Ok(Wanted::Notes { category, tag, content: flag(query, "content")?, page: page(query, 100, 1000)? })
}

/// `GET /notes/structure`
pub(super) fn structure(query: &str) -> Result<Wanted, Problem> {
    Ok(Wanted::Structure { limit: number(query, "limit", 100, 0, 1000)? })
}

/// `GET /notes/search`
pub(super) fn notes_for(query: &str) -> Result<Wanted, Problem> {
    Ok(Wanted::NotesFor { query: words(query, "query")?, limit: number(query, "limit", 10, 1, 50)? })
}

/// `GET /knowledge/search`
pub(super) fn passages_for(query: &str) -> Result<Wanted, Problem> {
    Ok(Wanted::PassagesFor { query: words(query, "query")?, limit: number(query, "limit", 10, 1, 50)? })
}

/// `GET /knowledge/search/content`
pub(super) fn lines(query: &str) -> Result<Wanted, Problem> {
    Ok(Wanted::Lines {
        query: words(query, "query")?,
        case_sensitive: flag(query, "case_sensitive")?,
        limit: number(query, "limit", 50, 1, 500)?,
    })
}

/// `GET /knowledge/graph`
pub(super) fn graph(query: &str) -> Result<Wanted, Problem> {
    let depth = number(query, "depth", 1, 0, 5)?;
    let page = page(query, 200, 1000)?;
    Ok(match parameter(query, "around")? {
        Some(path) => {
            let depth = u32::try_from(depth).unwrap_or(u32::MAX);
            Wanted::Around { path: path.into(), depth, limit: page.limit }
        }
        None => Wanted::Graph(page),
    })
}

/// `GET /knowledge/links`
pub(super) fn links(query: &str) -> Result<Wanted, Problem> {
    Ok(Wanted::Links { path: words(query, "path")? })
}
