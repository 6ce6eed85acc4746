//! What an MCP client asks for, done with what every other client's requests are done with.

use super::receive::{Outcome, begin_run, look_for, too_many_views};
use super::{Deed, FileWanted, Then, write};
use crate::agent::Wish;
use crate::app::chat::Chat;
use crate::app::dialect::Dialect;
use crate::app::mcp::{self, Announced, Asked, Caller, Era, Form, Request, Speaker, ToolCall, tell};
use crate::app::respond::{Problem, Reply};
use crate::app::runs::OnDisconnect;
use crate::app::service::Service;
use crate::app::tools::{find, quoted};
use crate::app::views::Wanted;
use crate::base::Key;
use crate::os::disk::Job;
use crate::reactor::Cx;

/// Does what a message asks for.
///
/// # Errors
/// What the dialect, which is the client's from here on, says as the failure of a tool.
pub(super) fn act(
    head: &Announced,
    body: &[u8],
    asker: Key,
    dialect: &mut Dialect,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
    scratch: &mut Vec<u8>,
) -> Result<Outcome, Problem> {
    let request = match mcp::read(body, head, service.writes, &service.limits) {
        Ok(Asked::Request(request)) => request,
        Ok(Asked::Notified) => return Ok(Outcome::Noted),
        Err(refusal) => {
            refusal.write(scratch);
            return Ok(Outcome::Whole(Reply { status: refusal.status, location: None }));
        }
    };
    let Request { caller, deed } = request;
    let form = form(&caller, &deed);
    *dialect = Dialect::Mcp(Speaker::of(caller.clone(), form, service.journal.ttl_ms()));
    match deed {
        mcp::Deed::Discover => tell::discovered(&caller, scratch),
        mcp::Deed::Initialize(version) => tell::initialized(&caller, version, scratch),
        mcp::Deed::Ping => tell::ponged(&caller, scratch),
        mcp::Deed::ListTools => tell::listed(&caller, service.writes, scratch),
        mcp::Deed::Wrong(why) => tell::misused(&caller, &why, scratch),
        mcp::Deed::Call(call) => return call_tool(*call, &caller, form, asker, service, cx),
        mcp::Deed::ShowTask(id) | mcp::Deed::UpdateTask(id) => {
            let deed = Deed::Show { wait: std::time::Duration::ZERO };
            return look_for(id, deed, asker, service, cx, scratch);
        }
        mcp::Deed::CancelTask(id) => return look_for(id, Deed::Cancel, asker, service, cx, scratch),
    }
    Ok(Outcome::Whole(Reply::OK))
}

/// What the answer's body becomes.
fn form(caller: &Caller, deed: &mcp::Deed) -> Form {
    match deed {
        mcp::Deed::Call(call) if matches!(**call, ToolCall::Ask(_)) && caller.takes_tasks => Form::NewTask,
        mcp::Deed::Call(_) => Form::Tool,
        mcp::Deed::ShowTask(_) => Form::Task,
        mcp::Deed::CancelTask(_) | mcp::Deed::UpdateTask(_) => Form::Done,
        mcp::Deed::Discover
        | mcp::Deed::Initialize(_)
        | mcp::Deed::Ping
        | mcp::Deed::ListTools
        | mcp::Deed::Wrong(_) => Form::Response,
    }
}

fn call_tool(
    call: ToolCall,
    caller: &Caller,
    form: Form,
    asker: Key,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) -> Result<Outcome, Problem> {
    match call {
        ToolCall::Search { query, limit } => {
            view(Wanted::PassagesFor { query: query.into(), limit }, asker, service)
        }
        ToolCall::Links { path } => view(Wanted::Links { path: known(&path, service)? }, asker, service),
        ToolCall::Read { path, start, length } => {
            let path = known(&path, service)?;
            let bytes_max = service.limits.note_file_bytes_max;
            let job = Job::Fetch { asker, path: path.clone(), bytes_max };
            service.note_files.add(job, cx.os.disk)?;
            Ok(Outcome::File(FileWanted::Window { path, start, length }))
        }
        ToolCall::Write(wish) => write_note(wish, asker, service, cx),
        ToolCall::Ask(chat) => ask(*chat, caller, form, service, cx),
    }
}

fn view(wanted: Wanted, asker: Key, service: &mut Service) -> Result<Outcome, Problem> {
    let Service { works, library, .. } = service;
    works.view(asker, wanted, library).map(Outcome::View).ok_or_else(too_many_views)
}

/// The note that is meant by a path as a model writes one.
fn known(path: &str, service: &Service) -> Result<Box<str>, Problem> {
    let note = find(&service.library, path);
    note.map(|note| note.path.clone()).ok_or_else(|| {
        let detail = format!("There is no note {}; search_notes finds those that there are.", quoted(path));
        Problem::new(404, detail)
    })
}

fn write_note(
    wish: Wish,
    asker: Key,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) -> Result<Outcome, Problem> {
    write::begin(wish, asker, service, cx).map(Outcome::File)
}

/// Begins the run of a question. Only the run of a client that cancels by leaving ends with its connection.
fn ask(
    chat: Chat,
    caller: &Caller,
    form: Form,
    service: &mut Service,
    cx: &mut Cx<'_, '_>,
) -> Result<Outcome, Problem> {
    let on_disconnect = match (caller.era, form) {
        (Era::Stateless, Form::Tool) => OnDisconnect::Cancel,
        _ => OnDisconnect::Continue,
    };
    let run = begin_run(&chat, on_disconnect, None, None, service, cx)?;
    Ok(match form {
        Form::NewTask => Outcome::Kept(run, Then::Show),
        _ if caller.progress.is_some() => Outcome::Kept(run, Then::Stream),
        _ => Outcome::Run(run),
    })
}
