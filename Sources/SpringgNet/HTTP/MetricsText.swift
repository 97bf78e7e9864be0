import SpringgLog

/// Writes metrics in Prometheus' text format 0.0.4.
///
/// Names carry their unit and counters end in `_total`, as the format's conventions want.
struct MetricsText {
    /// What a family counts as.
    enum Kind: String, Sendable {
        /// Goes up and down.
        case gauge
        /// Only goes up, until the process ends.
        case counter
        /// Counts of values in buckets.
        case histogram
    }

    private(set) var body: ResponseWriter

    init() {
        self.body = ResponseWriter(capacity: 32 << 10)
    }

    /// Begins a family: all its samples must follow.
    mutating func family(_ name: String, _ kind: Kind, _ help: String) {
        self.body.raw("# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n")
    }

    /// A value with its labels.
    mutating func sample(_ name: String, _ labels: [(name: String, value: String)], _ value: Double) {
        begin(name, labels)
        self.value(value)
    }

    /// A value with its labels.
    mutating func sample(_ name: String, _ labels: [(name: String, value: String)], _ value: Int) {
        begin(name, labels)
        self.body.raw(" ")
        self.body.integer(value)
        self.body.raw("\n")
    }

    /// A family of one value without labels.
    mutating func single(_ name: String, _ kind: Kind, _ help: String, _ value: Double) {
        family(name, kind, help)
        sample(name, [], value)
    }

    /// A family of one value without labels.
    mutating func single(_ name: String, _ kind: Kind, _ help: String, _ value: Int) {
        family(name, kind, help)
        sample(name, [], value)
    }

    /// A histogram of values that are divided by `divisor` to be in the unit of the name.
    mutating func histogram(
        _ name: String,
        _ labels: [(name: String, value: String)],
        _ snapshot: HistogramSnapshot,
        divisor: Double = 1
    ) {
        var total = 0
        for (bound, count) in zip(snapshot.bounds, snapshot.counts) {
            total += count
            sample(name + "_bucket", labels + [("le", Self.text(Double(bound) / divisor))], total)
        }
        total += snapshot.counts.last ?? 0
        sample(name + "_bucket", labels + [("le", "+Inf")], total)
        sample(name + "_sum", labels, Double(snapshot.sum) / divisor)
        sample(name + "_count", labels, total)
    }

    private static func text(_ value: Double) -> String {
        value == value.rounded() && abs(value) < 1e15 ? String(Int(value)) : "\(value)"
    }

    private mutating func begin(_ name: String, _ labels: [(name: String, value: String)]) {
        self.body.raw(name)
        for (place, label) in labels.enumerated() {
            self.body.raw(place == 0 ? "{" : ",")
            self.body.raw(label.name)
            self.body.raw("=\"")
            self.body.raw(Self.escaped(label.value))
            self.body.raw("\"")
        }
        if !labels.isEmpty {
            body.raw("}")
        }
    }

    private mutating func value(_ value: Double) {
        body.raw(" ")
        if value.isFinite {
            body.double(value)
        } else {
            body.raw(value.isNaN ? "NaN" : value > 0 ? "+Inf" : "-Inf")
        }
        body.raw("\n")
    }

    private static func escaped(_ text: String) -> String {
        var escaped = ""
        for character in text.unicodeScalars {
            switch character {
            case "\\": escaped += "\\\\"
            case "\"": escaped += "\\\""
            case "\n": escaped += "\\n"
            default: escaped.unicodeScalars.append(character)
            }
        }
        return escaped
    }
}
