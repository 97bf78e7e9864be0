import CSpringg

/// A part of a request's way, for whom measures where processor time goes (`measure_stages`).
///
/// What is no stage is HTTP: sockets, heads, routing, tokens. A stage within another is not counted for the outer one.
enum Stage: Int32, CaseIterable {
    /// Reading bodies and writing answers, in whatever format.
    case json = 1
    /// What the request is about.
    case work = 2

    /// The value of the label `stage`.
    var name: String {
        switch self {
        case .json: "json"
        case .work: "work"
        }
    }

    /// Processor time so far, in seconds.
    var seconds: Double { Double(springg_stage_nanoseconds(rawValue)) / 1e9 }

    /// True when anybody wants to know.
    static var isMeasured: Bool { springg_stages_measured() }

    /// Runs `body` as this stage.
    @inline(__always)
    func measured<R: ~Copyable, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        guard springg_stages_measured() else {
            return try body()
        }
        let outer = springg_stage_enter(rawValue)
        defer { _ = springg_stage_enter(outer) }
        return try body()
    }
}
