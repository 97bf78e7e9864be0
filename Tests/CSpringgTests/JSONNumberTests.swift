import CSpringg
import Glibc
import Testing

/// Numbers read are the nearest float32 or float64 and rounded once; numbers written read back as they were.
@Suite struct JSONNumberTests {
    /// The float that `text` is read as, alone in an array (so by the path for any number), or nil when out of range.
    private func readAlone(_ text: String, _ memory: GuardedBytes) -> Float? {
        let read = memory.read(Array("[\(text)]".utf8)) { readFloats(&$0, capacity: 1) }
        #expect(read.status == SPRINGG_JSON_OK || read.status == SPRINGG_JSON_RANGE, "\(text): \(read.status.rawValue)")
        return read.floats.first
    }

    /// Compares the bits of what each text is read as with strtof.
    ///
    /// They are read each one alone, and all in one array, where the paths for many numbers take them. Texts that float32
    /// cannot hold must be refused.
    private func expectNearest(_ texts: [String], _ memory: GuardedBytes) {
        var finite: [String] = []
        for text in texts {
            let expected = strtof(text, nil)
            let alone = readAlone(text, memory)
            #expect(alone?.bitPattern == (expected.isFinite ? expected.bitPattern : nil), "\(text) alone")
            if expected.isFinite { finite.append(text) }
        }
        for separator in [",", ", ", " ,\n "] {
            let array = Array("[\(finite.joined(separator: separator))]".utf8)
            for atStart in [false, true] {
                let read = memory.read(array, atStart: atStart) { readFloats(&$0, capacity: finite.count) }
                #expect(read.status == SPRINGG_JSON_OK && read.count == finite.count)
                for (text, value) in zip(finite, read.floats) where value.bitPattern != strtof(text, nil).bitPattern {
                    Issue.record("\(text) among others: \(value)")
                }
            }
        }
    }

    @Test func chosenFloats() {
        let memory = GuardedBytes(capacity: 1 << 16)
        expectNearest(
            [
                "0", "-0", "0.0", "-0.0", "0e5", "-0e-5", "1", "-1", "0.1", "-0.1", "0.5", "1.5", "123.456", "1e10",
                "1E-10",
                "3.4028234663852886e38",  // the largest float32
                "3.4028235677973365e38",  // just below halfway to 2^128
                "3.4028235677973366e38",  // just above: infinite
                "340282356779733661637539395458142568447.9999999999999999999999",
                "340282356779733661637539395458142568448",  // exactly halfway: ties to even, infinite
                "-340282356779733661637539395458142568448",
                "1e38", "1e39", "-1e39", "1e400", "-1e99999999999999999999", "1e-99999999999999999999",
                "0e99999999999999999999",
                "1.17549435e-38", "1.1754942e-38", "1.1754943e-38",  // the smallest normal and its neighbours
                "1.401298464324817e-45",  // the smallest subnormal
                "7.006492321624085e-46",  // just below half of it: 0
                "7.006492321624086e-46",  // just above
                // Half of it: 0.
                "0.7006492321624085354618647916449580656401309709382578858785341419448955413429303e-45",
                "-7.006492321624085e-46", "5e-46", "1e-46", "1e-60", "1e-65", "1e-400", "1e-45", "3e-45",
                "16777216", "16777217", "16777218", "16777219", "33554433", "33554434", "33554435",  // halfway integers
                "16777217.0000000000000000000000000000000001", "16777216.9999999999999999999999999999999999",
                "9007199254740993", "9007199791611905",  // round to double first and the second one goes wrong
                "1.00000017881393421514957253748434595763683319091796875001",
                "1.00000017881393432617187499", "1.000000178813934326171875", "1.00000017881393432617187501",
                "0.000000000000000000000000000000000000000000000000001e50",
                "100000000000000000000000000000000000000000000e-44",
                "12345678901234567890", "18446744073709551615", "18446744073709551616", "99999999999999999999e-5",
                "1." + String(repeating: "3", count: 800), "0." + String(repeating: "0", count: 400) + "1e400",
                String(repeating: "9", count: 39), "1" + String(repeating: "0", count: 400) + "e-400",
            ],
            memory
        )
    }

    @Test func randomBitPatternsSurviveWritingAndReading() {
        var random = JSONRandom(announcing: "randomBitPatternsSurviveWritingAndReading")
        let memory = GuardedBytes(capacity: 1 << 17)
        for _ in 0..<200 {
            var values: [Float] = []
            while values.count < 1000 {
                let value = Float(bitPattern: UInt32.random(in: 0...UInt32.max, using: &random))
                if value.isFinite { values.append(value) }
            }
            let texts = values.map { format($0) }
            for (text, value) in zip(texts, values) where readAlone(text, memory)?.bitPattern != value.bitPattern {
                Issue.record("\(value) is written \(text) and does not read back")
            }
            let list = [UInt8](unsafeUninitializedCapacity: values.count * Int(SPRINGG_NUMBER_MAX + 1)) {
                buffer,
                count in
                count = buffer.withMemoryRebound(to: CChar.self) {
                    springg_format_floats(values, values.count, $0.baseAddress)
                }
            }
            #expect(String(decoding: list, as: UTF8.self) == texts.joined(separator: ","))
            let read = memory.read([0x5B] + list + [0x5D]) { readFloats(&$0, capacity: values.count) }
            #expect(read.status == SPRINGG_JSON_OK)
            #expect(read.floats.map(\.bitPattern) == values.map(\.bitPattern))
        }
    }

    @Test func randomDecimalsAreRoundedOnce() {
        var random = JSONRandom(announcing: "randomDecimalsAreRoundedOnce")
        let memory = GuardedBytes(capacity: 1 << 18)
        for _ in 0..<100 {
            expectNearest((0..<1000).map { _ in randomDecimal(&random) }, memory)
        }
    }

    /// Decimals of exactly the value between two neighbouring floats, and the nearest ones on both sides of it.
    @Test func halfwayCasesAreRoundedOnce() {
        var random = JSONRandom(announcing: "halfwayCasesAreRoundedOnce")
        let memory = GuardedBytes(capacity: 1 << 19)
        for _ in 0..<20 {
            var texts: [String] = []
            while texts.count < 1000 {
                let low = Float(bitPattern: UInt32.random(in: 0...UInt32.max, using: &random))
                guard low.isFinite, low.nextUp.isFinite else { continue }
                // The sum of two neighbours has one bit more than they have, which a double holds exactly; printf writes
                // it out to the last digit.
                let halfway = (Double(low) + Double(low.nextUp)) / 2
                texts.append(printed("%.*e", 160, halfway))
                texts.append(printed("%.*e", Int32.random(in: 14...25, using: &random), halfway))
                texts.append(printed("%.*e", 25, halfway.nextUp))
                texts.append(printed("%.*e", 25, halfway.nextDown))
                if abs(halfway) > 1e-12, abs(halfway) < 1e12 {
                    texts.append(printed("%.*f", 120, halfway))
                    texts.append(printed("%.*f", 120, halfway) + "1")
                }
                // With more digits than are weighed in the path for long fractions.
                let small = Float.random(in: 0.0001..<10, using: &random)
                let between = (Double(small) + Double(small.nextUp)) / 2
                texts.append(printed("%.*f", Int32.random(in: 15...32, using: &random), between))
                texts.append(printed("%.*f", 25, between.nextUp))
                texts.append(printed("-%.*f", 25, between.nextDown))
            }
            expectNearest(texts, memory)
        }
    }

    @Test func doublesAreNearest() {
        var random = JSONRandom(announcing: "doublesAreNearest")
        let memory = GuardedBytes(capacity: 1024)
        var texts = (0..<100_000).map { _ in randomDecimal(&random) }
        texts += [
            "0", "-0", "1e308", "1.7976931348623157e308", "5e-324", "2.4703282292062327e-324",
            "2.4703282292062328e-324", "1e-400",
        ]
        texts += ["1e309", "-1e309", "1.7976931348623159e308", "1e99999999999999999999"]
        for text in texts {
            var value = 0.0
            let status = memory.read(Array(text.utf8)) { springg_json_double(&$0, &value) }
            let expected = strtod(text, nil)
            guard expected.isFinite else {
                #expect(status == SPRINGG_JSON_RANGE, "\(text)")
                continue
            }
            #expect(status == SPRINGG_JSON_OK && value.bitPattern == expected.bitPattern, "\(text)")
        }
        for _ in 0..<100_000 {
            let value = Double(bitPattern: UInt64.random(in: 0...UInt64.max, using: &random))
            guard value.isFinite else { continue }
            var back = 0.0
            let status = memory.read(Array(format(value).utf8)) { springg_json_double(&$0, &back) }
            #expect(status == SPRINGG_JSON_OK && back.bitPattern == value.bitPattern, "\(value) as \(format(value))")
        }
    }

    @Test func writtenNumbersAreJSON() {
        #expect(format(Float(0)) == "0")
        #expect(format(-Float(0)) == "-0.0")
        #expect(format(Float(1)) == "1")
        #expect(format(Float(0.1)) == "0.1")
        #expect(format(Float(1e20)) == "1e+20")
        #expect(format(Float(1e-5)) == "1e-05")
        #expect(format(-Float.greatestFiniteMagnitude) == "-3.4028235e+38")
        #expect(format(Float.leastNonzeroMagnitude) == "1e-45")
        #expect(format(0.1) == "0.1")
        #expect(format(-Double.greatestFiniteMagnitude) == "-1.7976931348623157e+308")
        var random = JSONRandom(announcing: "writtenNumbersAreJSON")
        let memory = GuardedBytes(capacity: 64)
        for _ in 0..<100_000 {
            let float = Float(bitPattern: UInt32.random(in: 0...UInt32.max, using: &random))
            let double = Double(bitPattern: UInt64.random(in: 0...UInt64.max, using: &random))
            for text in [float.isFinite ? format(float) : "0", double.isFinite ? format(double) : "0"] {
                #expect(text.utf8.count <= SPRINGG_NUMBER_MAX)
                #expect(memory.read(Array(text.utf8)) { $0.skipDocument() } == SPRINGG_JSON_OK, "\(text)")
            }
        }
        #expect(springg_format_floats(nil, 0, nil) == 0)
    }

    @Test(arguments: [
        ("0", 0), ("-0", 0), ("12", 12), ("-12", -12), ("9223372036854775807", Int64.max),
        ("-9223372036854775808", Int64.min),
    ])
    func integers(_ text: String, _ expected: Int64) {
        var value: Int64 = 77
        let status = GuardedBytes(capacity: 64).read(Array(text.utf8)) { springg_json_integer(&$0, &value) }
        #expect(status == SPRINGG_JSON_OK && value == expected)
    }

    @Test(arguments: [
        ("9223372036854775808", SPRINGG_JSON_RANGE), ("-9223372036854775809", SPRINGG_JSON_RANGE),
        ("18446744073709551616", SPRINGG_JSON_RANGE), ("100000000000000000000000", SPRINGG_JSON_RANGE),
        ("1.0", SPRINGG_JSON_TYPE), ("1e2", SPRINGG_JSON_TYPE), ("1e99", SPRINGG_JSON_TYPE),
        ("\"1\"", SPRINGG_JSON_TYPE),
        ("null", SPRINGG_JSON_TYPE), ("01", SPRINGG_JSON_SYNTAX), ("-", SPRINGG_JSON_TRUNCATED),
        ("", SPRINGG_JSON_TRUNCATED),
        ("+1", SPRINGG_JSON_SYNTAX),
    ])
    func notIntegers(_ text: String, _ expected: springg_json_status) {
        var value: Int64 = 77
        let status = GuardedBytes(capacity: 64).read(Array(text.utf8)) { springg_json_integer(&$0, &value) }
        #expect(status == expected && value == 77)
    }

    /// simdjson gives the same floats, or neighbours.
    ///
    /// It rounds to double first, so it may be one float away, and hardly ever is. It reads -0 as an integer, without its
    /// sign.
    @Test func vectorsAreThoseOfSimdjson() throws {
        var random = JSONRandom(announcing: "vectorsAreThoseOfSimdjson")
        let oracle = Oracle()
        let memory = GuardedBytes(capacity: 1 << 17)
        var different = 0
        for _ in 0..<100 {
            let texts = (0..<1024).map { _ in randomDecimal(&random) }.filter { strtof($0, nil).isFinite }
            let body = Array(#"{"id":"a","vector":[\#(texts.joined(separator: ", "))],"metadata":{}}"#.utf8)
            let ours = try #require(memory.read(body) { readBody(&$0) })
            // Integers beyond 64 bits are not written by randomDecimal without an exponent, so simdjson takes all of it.
            let theirs = try #require(oracle.vector(body, capacity: 1024))
            #expect(ours.count == texts.count && theirs.count == texts.count)
            for (our, their) in zip(ours, theirs) where our != their {
                different += 1
                #expect(our.nextUp == their || our.nextDown == their)
            }
        }
        #expect(different < 100, "\(different) of 100,000 differ")
    }

    /// One byte of an array of numbers changed at random: it stays an array of float32 for both, or for neither.
    @Test func mutatedVectorsAreJudgedAsBySimdjson() throws {
        var random = JSONRandom(announcing: "mutatedVectorsAreJudgedAsBySimdjson")
        let oracle = Oracle()
        let memory = GuardedBytes(capacity: 1 << 13)
        let telling = Array("0123456789.,-+eE ]}[\"\n:".utf8)
        var accepted = 0
        for _ in 0..<jsonMutations / 250 {
            let texts = (0..<100).map { _ in commonDecimal(&random) }
            let body = Array(
                #"{"vector":[\#(texts.joined(separator: [",", ", "].randomElement(using: &random) ?? ","))],"id":""}"#
                    .utf8
            )
            for _ in 0..<100 {
                var mutated = body
                mutated[Int.random(in: 11..<body.count - 9, using: &random)] =
                    telling[Int.random(in: 0..<telling.count, using: &random)]
                let ours = memory.read(mutated) { readBody(&$0) }
                let theirs = oracle.vector(mutated, capacity: 4096)
                if ours != nil { accepted += 1 }
                if ours?.count == theirs?.count { continue }
                // A number beyond float32 that a double still holds ("1.5e+55").
                let text = String(decoding: mutated, as: UTF8.self)
                try #require(ours == nil && theirs?.contains { $0.isInfinite } == true, "\(text)")
            }
        }
        print("accepted \(accepted)")
        #expect(accepted > jsonMutations / 25)
    }

    /// As numbers of vectors are written by the usual programs.
    private func commonDecimal(_ random: inout JSONRandom) -> String {
        let value = Double.random(in: -1...1, using: &random) * Double.random(in: 0...1, using: &random)
        switch Int.random(in: 0..<8, using: &random) {
        case 0: return printed("%.*f", 6, value)
        case 1: return printed("%.*f", 2, value * 300)
        case 2: return printed("%.*e", 8, value)
        case 3: return "\(value)"
        case 4: return "\(Int(value * 255))"
        case 5: return printed("%.*g", 9, value * 1e-4)
        default: return format(Float(value))
        }
    }

    /// 1 to 25 digits with a point anywhere, zeros in front, and exponents that reach beyond both ends of float32.
    private func randomDecimal(_ random: inout JSONRandom) -> String {
        var text = Bool.random(using: &random) ? "-" : ""
        let digits = (0..<Int.random(in: 1...25, using: &random)).map { _ in
            String(Int.random(in: 0...9, using: &random))
        }
        let whole: [String]
        var fraction = digits[...]
        if Bool.random(using: &random) {
            whole = ["0"]
            fraction.insert(contentsOf: repeatElement("0", count: Int.random(in: 0...6, using: &random)), at: 0)
        } else {
            let count = Int.random(in: 1...min(digits.count, 18), using: &random)
            whole = count > 1 && digits[0] == "0" ? ["7"] + digits[1..<count] : Array(digits[..<count])
            fraction = digits[count...]
        }
        text += whole.joined()
        if !fraction.isEmpty { text += "." + fraction.joined() }
        switch Int.random(in: 0..<6, using: &random) {
        case 0: text += "e\(Int.random(in: -70...45, using: &random))"
        case 1: text += printed("E%+03d", Int32.random(in: -50...20, using: &random))
        case 2: text += "e-0\(Int.random(in: 0...9, using: &random))"
        default: break
        }
        return text
    }

    /// As C's printf writes it.
    private func printed(_ format: String, _ arguments: any CVarArg...) -> String {
        withVaList(arguments) { list in
            String(unsafeUninitializedCapacity: 512) { buffer in
                buffer.withMemoryRebound(to: CChar.self) { Int(vsnprintf($0.baseAddress, $0.count, format, list)) }
            }
        }
    }
}
