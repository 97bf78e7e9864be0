import Testing

/// Tests of the built programs, as a user meets them: over HTTP, on the command line, by signals.
///
/// One after the other: each has the machine, and its figures, to itself.
@Suite(.serialized) enum EndToEnd {}
