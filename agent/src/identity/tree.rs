//! The process tree as the kernel told it: what `/proc` no longer says of a process that is gone.

use std::collections::HashMap;

/// Processes remembered; the older half goes when there are more.
const MAX: usize = 16_384;

#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: HashMap<u32, Node>,
    clock: u64,
}

#[derive(Debug)]
struct Node {
    parent: u32,
    /// File that it executed, as the caller named it.
    file: String,
    made: u64,
}

impl Tree {
    /// A process, or a thread, which the kernel does not tell apart here, was created.
    pub(super) fn forked(&mut self, parent: u32, child: u32) {
        let file = self.nodes.get(&parent).map(|n| n.file.clone()).unwrap_or_default();
        self.insert(child, parent, file);
    }

    /// A process runs another program.
    pub(super) fn executed(&mut self, pid: u32, file: String) {
        match self.nodes.get_mut(&pid) {
            Some(node) => node.file = file,
            None => self.insert(pid, 0, file),
        }
    }

    /// Parent and executed file; 0 and empty where not known.
    pub(super) fn get(&self, pid: u32) -> (u32, &str) {
        self.nodes.get(&pid).map_or((0, ""), |n| (n.parent, &n.file))
    }

    fn insert(&mut self, pid: u32, parent: u32, file: String) {
        self.clock += 1;
        if self.nodes.len() >= MAX {
            let newest_half = self.clock - MAX as u64 / 2;
            self.nodes.retain(|_, n| n.made > newest_half);
        }
        self.nodes.insert(pid, Node { parent, file, made: self.clock });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_inherit_what_their_parent_runs_until_they_execute() {
        let mut tree = Tree::default();
        tree.executed(10, "/bin/sh".into());
        tree.forked(10, 11);
        assert_eq!(tree.get(11), (10, "/bin/sh"));
        tree.executed(11, "/usr/bin/curl".into());
        assert_eq!(tree.get(11), (10, "/usr/bin/curl"));
        assert_eq!(tree.get(12), (0, ""));
        for pid in 0..3 * MAX as u32 {
            tree.forked(10, pid);
        }
        assert!(tree.nodes.len() <= MAX);
    }
}
