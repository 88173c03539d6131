//! Patterns to the automaton's layout.

use std::collections::HashMap;
use std::fmt;

use gnomon_common::matcher::{Automaton, MAX_STATES, MAX_TRANSITIONS};
use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::{primitives::StateID, start, syntax};
use regex_automata::{Anchored, MatchKind};

/// Bounds on memory while building, in bytes. The DFA before merging needs four bytes per transition and about twice
/// the states.
const MAX_NFA: usize = 16 << 20;
const MAX_DFA: usize = 16 << 20;
const MAX_DETERMINIZE: usize = 64 << 20;

/// Why there is no automaton.
#[derive(Debug)]
pub(super) enum TooLarge {
    Build(String),
    Table { states: usize, row: usize },
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TooLarge::Build(why) => f.write_str(why),
            TooLarge::Table { states, row } => write!(
                f,
                "{states} states of {row} transitions, the table holds {MAX_STATES} and {MAX_TRANSITIONS} in all"
            ),
        }
    }
}

/// Builds the automaton that runs all patterns from every position at once.
pub(super) fn build(patterns: &[(u8, String)], generation: u32) -> Result<Box<Automaton>, TooLarge> {
    let mut machine = Machine::from_patterns(patterns)?;
    machine.merge_states();
    machine.merge_classes();
    machine.lay_out(generation)
}

/// A Moore machine: the actions belong to the state that the last byte of a match leads to.
struct Machine {
    classes: [u8; 256],
    /// Row length: the number of classes.
    width: usize,
    actions: Vec<u8>,
    /// `rows[state * width + class]`; state 0 is the start.
    rows: Vec<u32>,
}

impl Machine {
    fn from_patterns(patterns: &[(u8, String)]) -> Result<Machine, TooLarge> {
        let sources: Vec<&str> = patterns.iter().map(|(_, source)| source.as_str()).collect();
        let dfa = dense::Builder::new()
            .configure(
                dense::Config::new()
                    .match_kind(MatchKind::All)
                    .start_kind(StartKind::Unanchored)
                    .accelerate(false)
                    .dfa_size_limit(Some(MAX_DFA))
                    .determinize_size_limit(Some(MAX_DETERMINIZE)),
            )
            .syntax(syntax::Config::new().unicode(false).utf8(false))
            .thompson(thompson::Config::new().utf8(false).nfa_size_limit(Some(MAX_NFA)))
            .build_many(&sources)
            .map_err(|e| TooLarge::Build(e.to_string()))?;
        let start = dfa
            .start_state(&start::Config::new().anchored(Anchored::No))
            .map_err(|e| TooLarge::Build(e.to_string()))?;

        let classes: [u8; 256] = std::array::from_fn(|byte| dfa.byte_classes().get(byte as u8));
        let width = classes.iter().max().map_or(0, |max| usize::from(*max) + 1);
        let mut representatives = vec![0u8; width];
        for byte in 0..=255u8 {
            representatives[usize::from(classes[usize::from(byte)])] = byte;
        }
        // Breadth first, so that the states of ordinary traffic lie together.
        let mut numbers: HashMap<StateID, u32> = HashMap::from([(start, 0)]);
        let mut order = vec![start];
        let (mut actions, mut rows) = (Vec::new(), Vec::new());
        let mut next = 0;
        while let Some(&state) = order.get(next) {
            next += 1;
            actions.push(actions_of(&dfa, state, patterns));
            for &byte in &representatives {
                let target = dfa.next_state(state, byte);
                let number = *numbers.entry(target).or_insert_with(|| {
                    order.push(target);
                    (order.len() - 1) as u32
                });
                rows.push(number);
            }
        }
        Ok(Machine { classes, width, actions, rows })
    }

    /// Merges states that nothing tells apart, until none are left that differ only in number. Names with a common
    /// end, and the DFA's own pairs of matching and non-matching copies, come together here.
    fn merge_states(&mut self) {
        loop {
            let count = self.actions.len();
            let mut seen: HashMap<(u8, &[u32]), u32> = HashMap::with_capacity(count);
            let mut kept = Vec::new();
            let merged: Vec<u32> = (0..count)
                .map(|state| {
                    let row = &self.rows[state * self.width..][..self.width];
                    *seen.entry((self.actions[state], row)).or_insert_with(|| {
                        kept.push(state);
                        (kept.len() - 1) as u32
                    })
                })
                .collect();
            if kept.len() == count {
                return;
            }
            self.rows = kept
                .iter()
                .flat_map(|state| &self.rows[state * self.width..][..self.width])
                .map(|target| merged[*target as usize])
                .collect();
            self.actions = kept.iter().map(|state| self.actions[*state]).collect();
        }
    }

    /// Merges byte classes that no state tells apart.
    fn merge_classes(&mut self) {
        let mut seen: HashMap<Vec<u32>, u8> = HashMap::new();
        let mut kept = Vec::new();
        let merged: Vec<u8> = (0..self.width)
            .map(|class| {
                let column = self.rows.chunks(self.width).map(|row| row[class]).collect();
                *seen.entry(column).or_insert_with(|| {
                    kept.push(class);
                    (kept.len() - 1) as u8
                })
            })
            .collect();
        self.rows =
            self.rows.chunks(self.width).flat_map(|row| kept.iter().map(|class| row[*class])).collect();
        self.classes = self.classes.map(|class| merged[usize::from(class)]);
        self.width = kept.len();
    }

    /// Writes the table.
    fn lay_out(&self, generation: u32) -> Result<Box<Automaton>, TooLarge> {
        let states = self.actions.len();
        let stride = self.width.next_power_of_two();
        if states * stride > MAX_TRANSITIONS || states > MAX_STATES {
            return Err(TooLarge::Table { states, row: stride });
        }
        let mut automaton = Automaton::boxed();
        automaton.classes = self.classes;
        automaton.start = 0;
        automaton.stride2 = stride.trailing_zeros();
        automaton.generation = generation;
        automaton.actions[..states].copy_from_slice(&self.actions);
        for (state, row) in self.rows.chunks(self.width).enumerate() {
            for (class, target) in row.iter().enumerate() {
                automaton.trans[state * stride + class] = *target as u16;
            }
        }
        automaton.find_idle();
        Ok(automaton)
    }
}

/// The actions of the patterns that end with the byte that led to `state`. The DFA itself reports a match one byte
/// late; asking what it would say at the end of input takes that byte away.
fn actions_of(dfa: &dense::DFA<Vec<u32>>, state: StateID, patterns: &[(u8, String)]) -> u8 {
    let end = dfa.next_eoi_state(state);
    if !dfa.is_match_state(end) {
        return 0;
    }
    (0..dfa.match_len(end))
        .map(|i| patterns[dfa.match_pattern(end, i).as_usize()].0)
        .fold(0, |all, one| all | one)
}
