//! Child processes: servers that are started, watched and stopped.
