//! The part of a policy that the kernel can carry out alone, as tables.
//!
//! The kernel knows one thing about a server: whether the `Host:` line names one of a set. So it carries out the
//! default for unsanctioned servers and nothing else; all the rest is decided in user space. Where the two could
//! differ the kernel does not deny.

mod patterns;
mod placement;
mod table;

use gnomon_common::matcher::Automaton;

use crate::model::Policy;
use placement::Placement;

/// A policy as the kernel uses it.
#[derive(Debug)]
pub struct Compiled {
    /// Recognises MCP and the sanctioned hosts in a stream of plaintext.
    pub automaton: Box<Automaton>,
    /// True if the kernel is to stop MCP to a host that the automaton does not sanction.
    pub enforce_unsanctioned: bool,
    /// What user space decides, and why: one entry per rule or server, starting with its identifier.
    pub unplaced: Vec<String>,
}

/// Compiles a policy. `generation` is stored in the automaton: give each compilation a number of its own, not 0, so
/// that streams under way notice the change.
pub fn compile(policy: &Policy, generation: u32) -> Compiled {
    let Placement { hosts, mut enforce_unsanctioned, mut unplaced } = placement::place(policy);
    let automaton = table::build(&patterns::patterns(&hosts), generation).unwrap_or_else(|too_large| {
        enforce_unsanctioned = false;
        unplaced.push(format!(
            "servers: {} host patterns do not fit the kernel table ({too_large}); unsanctioned servers are stopped from user space",
            hosts.len()
        ));
        // Without hosts the table has a fixed size, which the tests hold under the limits; an automaton of zeros
        // recognises nothing.
        table::build(&patterns::patterns(&[]), generation).unwrap_or_else(|_| Automaton::boxed())
    });
    Compiled { automaton, enforce_unsanctioned, unplaced }
}
