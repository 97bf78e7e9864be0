import Glibc
import SpringgTestKit

/// What a figure is wished to be.
enum Goal {
    case atLeast(Double)
    case atMost(Double)

    func isMet(by value: Double) -> Bool {
        switch self {
        case .atLeast(let bound): value >= bound
        case .atMost(let bound): value <= bound
        }
    }

    var text: String {
        switch self {
        case .atLeast(let bound): "≥ " + Figure.text(bound)
        case .atMost(let bound): "≤ " + Figure.text(bound)
        }
    }
}

/// One figure of the report.
struct Figure {
    let name: String
    let value: Double
    let unit: String
    var goal: Goal?
    /// True for what stands in a table of the notes: the list leaves it out.
    var isInTable = false

    var isMet: Bool? { goal?.isMet(by: value) }

    /// At least three digits that count.
    static func text(_ value: Double) -> String {
        let digits =
            abs(value) >= 100 || value == value.rounded() ? 0 : abs(value) >= 10 ? 1 : abs(value) >= 0.1 ? 2 : 4
        let scale = pow(10, Double(digits))
        let rounded = (value * scale).rounded() / scale
        guard digits == 0, abs(rounded) < 1e15 else { return "\(rounded)" }
        // Thousands apart, as in 12,345.
        var text = ""
        for (place, digit) in String(Int(rounded.magnitude)).reversed().enumerated() {
            if place > 0, place % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return (rounded < 0 ? "-" : "") + String(text.reversed())
    }
}

/// The figures of one section, in the order of the table.
struct SectionReport {
    let title: String
    var figures: [Figure] = []
    /// Lines that go with the figures, already laid out.
    var notes: [String] = []

    mutating func add(_ name: String, _ value: Double, _ unit: String, _ goal: Goal? = nil) {
        figures.append(Figure(name: name, value: value, unit: unit, goal: goal))
    }

    var text: String {
        var lines = ["", title, String(repeating: "─", count: 96)]
        for figure in figures where !figure.isInTable {
            let verdict = figure.isMet.map { $0 ? "met" : "NOT MET" } ?? ""
            lines.append(
                padded(figure.name, 52) + padded(Figure.text(figure.value), -12) + " " + padded(figure.unit, 12)
                    + padded(figure.goal?.text ?? "", 11) + verdict
            )
        }
        return (lines + notes.map { "  " + $0 }).joined(separator: "\n")
    }
}

/// Everything that was measured.
struct Report {
    var sections: [SectionReport] = []

    var verdict: String {
        let judged = sections.flatMap(\.figures).compactMap(\.isMet)
        return judged.isEmpty ? "" : "\n\(judged.count { $0 }) of \(judged.count) goals met"
    }

    var json: String {
        let parts = sections.map { section in
            let figures = section.figures.map { figure in
                var members = [
                    #""name":\#(JSONValue.quoted(figure.name))"#, #""value":\#(figure.value)"#,
                    #""unit":\#(JSONValue.quoted(figure.unit))"#,
                ]
                switch figure.goal {
                case .atLeast(let bound): members.append(#""at_least":\#(bound)"#)
                case .atMost(let bound): members.append(#""at_most":\#(bound)"#)
                case nil: break
                }
                if let isMet = figure.isMet { members.append(#""met":\#(isMet)"#) }
                return "{" + members.joined(separator: ",") + "}"
            }
            return #"{"section":\#(JSONValue.quoted(section.title)),"figures":[\#(figures.joined(separator: ","))]}"#
        }
        return #"{"sections":[\#(parts.joined(separator: ","))]}"#
    }
}

/// The text in a column of so many characters; to the right of it when the width is negative.
func padded(_ text: String, _ width: Int) -> String {
    let space = String(repeating: " ", count: max(0, abs(width) - text.count))
    return width < 0 ? space + text : text + space
}

/// The middle of the values; 0 when there are none.
func median(_ values: [Double]) -> Double {
    values.isEmpty ? 0 : values.sorted()[values.count / 2]
}

/// Says on standard error what is going on, so that standard output holds the report alone.
func progress(_ text: String) {
    let line = Array((text + "\n").utf8)
    _ = write(STDERR_FILENO, line, line.count)
}
