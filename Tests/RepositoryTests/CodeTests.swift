import Testing

@Suite("What a formatter cannot see")
struct CodeTests {
    /// Ways around the compiler's checks, and traps without a message; in two pieces, lest this file find itself.
    static let needingReason = [
        "@unchecked" + " Sendable", "nonisolated" + "(unsafe)", "@pre" + "concurrency", "try" + "!",
        "unsafe" + "BitCast(",
        "fatal" + "Error()",
    ]

    @Test("whoever goes around the compiler says why, in a comment on the lines above or on the line itself")
    func reasons() throws {
        for directory in ["Sources", "tools", "Tests", "Benchmarks"] {
            for file in (try? Repository.files(in: directory, suffix: ".swift")) ?? [] {
                for (number, line) in file.lines.enumerated() {
                    let code = withoutComment(line)
                    guard let found = Self.needingReason.first(where: { code.contains($0) }) else { continue }
                    let isExplained = code.count < line.count || hasCommentAbove(number, in: file)
                    #expect(isExplained, "\(file.path):\(number + 1) uses \(found) without a sentence that says why")
                }
            }
        }
    }

    @Test("files below the network leave printing and the clock of the wall to others")
    func coreRules() throws {
        let banned = [
            "print(", "Date()", "UUID()", "ContinuousClock.now", "SuspendingClock.now", "Task {", "Task.detached",
        ]
        for directory in [
            "SpringgLog", "SpringgProjections", "SpringgTransfer", "SpringgArchive", "SpringgCluster",
            "SpringgConfiguration",
        ] {
            for file in try Repository.files(in: "Sources/" + directory, suffix: ".swift") {
                for (number, line) in file.lines.enumerated() {
                    let code = withoutComment(line)
                    for call in banned {
                        #expect(!code.contains(call), "\(file.path):\(number + 1) has \(call)")
                    }
                }
            }
        }
    }

    @Test("nothing is left to be done later, and nothing names one particular machine")
    func banned() throws {
        let words = [
            "TO" + "DO", "FIX" + "ME", "XX" + "X:", "/wo" + "rk/", "/ro" + "ot/", "/tmp/" + "w-", "/home/" + "ubuntu/",
            ".dis" + "abled(",
        ]
        for file in try Repository.files() where !file.path.hasSuffix(".tsv") {
            for (number, line) in file.lines.enumerated() {
                for word in words {
                    #expect(!line.contains(word), "\(file.path):\(number + 1) has \(word)")
                }
            }
        }
    }

    /// Whether the line above, or the lines above the attributes and the declaration that it belongs to, is a comment.
    private func hasCommentAbove(_ number: Int, in file: Repository.File) -> Bool {
        guard number > 0 else { return false }
        let above = file.lines[number - 1].drop { $0 == " " }
        return above.hasPrefix("//") || (above.hasPrefix("@") && hasCommentAbove(number - 1, in: file))
    }

    /// The line up to a comment; good enough for code that keeps `//` out of its texts.
    private func withoutComment(_ line: Substring) -> Substring {
        guard let comment = line.firstRange(of: "//") else { return line }
        return line[..<comment.lowerBound]
    }
}
