/// Documents that hold one rule of RFC 8259 each, some that keep it and some that break it.
struct JSONRule {
    let rule: String
    var accept: [[UInt8]]
    var refuse: [[UInt8]]
    /// Set when simdjson's answer for each of these documents is the opposite.
    var difference: OracleDifference?

    init(_ rule: String, accept: [String] = [], refuse: [String] = [], difference: OracleDifference? = nil) {
        self.rule = rule
        self.accept = accept.map { Array($0.utf8) }
        self.refuse = refuse.map { Array($0.utf8) }
        self.difference = difference
    }

    /// Documents that are one string with these bytes between the quotes.
    init(_ rule: String, acceptInString: [[UInt8]] = [], refuseInString: [[UInt8]] = []) {
        func quoted(_ bytes: [UInt8]) -> [UInt8] { [0x22] + bytes + [0x22] }
        self.rule = rule
        self.accept = acceptInString.map(quoted)
        self.refuse = refuseInString.map(quoted)
    }
}

/// `levels` arrays, one in the other.
private func nested(_ levels: Int) -> String {
    String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
}

/// `levels` objects, one in the other.
private func nestedObjects(_ levels: Int) -> String {
    String(repeating: #"{"a":"#, count: levels - 1) + "{}" + String(repeating: "}", count: levels - 1)
}

/// The numbers are those of RFC 8259's sections.
let jsonRules: [JSONRule] = [
    // 2. Grammar
    JSONRule(
        "any value is a document",
        accept: ["{}", "[]", "0", "\"\"", "true", "false", "null", "\"text\"", "-1.5e3", "{\"a\":1}", "[null]"]
    ),
    JSONRule(
        "there is exactly one",
        refuse: ["", " ", "\n\t\r ", "1 2", "[] []", "{}{}", "null,", "[],", "1,2", "\"a\"\"b\""]
    ),
    JSONRule(
        "white space is space, tab, line feed and carriage return, around any token",
        accept: [
            " 1", "1 ", "\t\n\r []\r\n\t ", "[ ]", "{ }", "[ 1 , 2 ]", "{ \"a\" : 1 , \"b\" : 2 }", "[1\n,\r\n2]",
            "{\"a\"\t:\n1}", " \"a\" ", " true ",
        ]
    ),
    JSONRule(
        "nothing else is white space",
        refuse: [
            "\u{0B}1", "1\u{0C}", "[\u{A0}1]", "[1\u{2028}]", "\u{FEFF}[]", "[\u{00}]", "[1,\u{85}2]", "1\u{00}",
            "\u{08}{}",
        ]
    ),
    JSONRule(
        "there are no comments",
        refuse: ["// a\n1", "1 // a", "/* a */ 1", "[1, /* a */ 2]", "# a\n1", "{\"a\":1 /**/}"]
    ),

    // 3. Values
    JSONRule(
        "the three words are written in full and in lower case",
        refuse: [
            "True", "FALSE", "Null", "nul", "nulll", "tru", "truee", "fals", "falsee", "t", "f", "n", "undefined",
            "nil",
            "yes", "[nul]", "[tru,1]", "{\"a\":fals}", "truefalse", "true false", "n\u{0}ll",
        ]
    ),
    JSONRule(
        "NaN and infinities are no numbers",
        refuse: ["NaN", "nan", "Infinity", "-Infinity", "inf", "-inf", "[NaN]", "[1,-Inf]"]
    ),
    JSONRule(
        "what starts no value is refused",
        refuse: ["a", "]", "}", ",", ":", "'a'", "*", "\\u0031", "&", "<null>", "\u{E9}"]
    ),

    // 4. Objects
    JSONRule(
        "members are pairs of a string and a value",
        accept: [
            "{\"\":0}", "{\"a\":{\"b\":[]}}", "{\"a\":1,\"a\":2}", "{\"a b\\n\":null}", "{\"\\u0061\":1}",
            "{\"a\":[],\"b\":{}}",
            "{\"\u{E4}\":\"\u{1F600}\"}", "{\"a\":\"}\"}",
        ],
        refuse: [
            "{1:1}", "{a:1}", "{'a':1}", "{null:1}", "{\"a\"}", "{\"a\":}", "{\"a\" 1}", "{\"a\"::1}", "{:1}", "{[]:1}",
            "{\"a\",\"b\"}", "{\"a\"=1}", "{\"a\":1:2}", "{\"a\":1 2}", "{{}}", "{\"a\":1]", "{]", "{\"a\":\"b}",
        ]
    ),
    JSONRule(
        "members are separated by one comma, and none follows the last",
        refuse: [
            "{\"a\":1,}", "{,}", "{,\"a\":1}", "{\"a\":1,,\"b\":2}", "{\"a\":1 \"b\":2}", "{\"a\":1;\"b\":2}",
            "{\"a\":1,\"b\"}",
            "{\"a\":1,2}",
        ]
    ),
    JSONRule(
        "an object is closed",
        refuse: ["{", "{\"", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{\"a\":{}", "[{]}", "}"]
    ),

    // 5. Arrays
    JSONRule(
        "elements may be of any kinds",
        accept: [
            "[1]", "[1,2]", "[[],[[]],{}]", "[\"a\",1,null,true,false,{},[]]", "[[[[[[[[1]]]]]]]]",
            "[{\"a\":[{\"b\":[]}]}]",
            "[\"]\"]", "[\"[\",\",\"]",
        ]
    ),
    JSONRule(
        "elements are separated by one comma, and none follows the last",
        refuse: [
            "[1,]", "[,]", "[,1]", "[1,,2]", "[1 2]", "[1;2]", "[\"a\" \"b\"]", "[[][]]", "[1,2,]", "[1:2]",
            "[\"a\":1]", "[{}{}]",
            "[true false]", "[1,2],",
        ]
    ),
    JSONRule(
        "an array is closed",
        refuse: ["[", "[1", "[1,", "[[]", "[\"a\"", "[\"a", "[1}", "[{}", "[}", "[]]", "[1]]", "[[1]"]
    ),

    // 6. Numbers
    JSONRule(
        "a number is an integer, perhaps a fraction, perhaps an exponent",
        accept: [
            "0", "-0", "1", "-1", "9", "10", "1234567890", "0.0", "-0.0", "0.5", "1.0", "1.50", "-1.25", "0.001", "1e0",
            "1E0",
            "1e+0", "1e-0", "1e5", "1E+05", "1e-007", "0e0", "-0e-0", "0.0e10", "1.5e300", "1.5E-300", "1e-400",
            "0e999999999",
            "9007199254740993", "9223372036854775807", "-9223372036854775808", "18446744073709551615",
            "0.12345678901234567890123456789012345678901234567890", "1.7976931348623157e308", "5e-324",
            "[1.5,-2,3e1]", "{\"a\":-0.25}", "123.456e-7",
        ]
    ),
    JSONRule(
        "there are no leading zeros",
        refuse: [
            "00", "01", "-01", "007", "-00", "00.5", "[01]", "[-01.5]", "[1,00]", "0123e1", "{\"a\":00}",
            "000000000000000000001",
        ]
    ),
    JSONRule(
        "digits stand on both sides of the point",
        refuse: [
            ".5", "-.5", "1.", "-1.", "1.e5", "1.5.5", "[.1]", "[1.]", "[1., 2]", "0.", "0.e1", ".", "-.", "1..5",
            "1.-5", "1. 5",
        ]
    ),
    JSONRule(
        "an exponent has digits",
        refuse: [
            "1e", "1E", "1e+", "1e-", "1e+-1", "1ee1", "1e1.5", "1e 5", "[1e]", "[1e+]", "[1E-,2]", "0e", "1.5e",
            "1e1e1", "1e++1",
        ]
    ),
    JSONRule(
        "only a minus may stand in front, once, and at once",
        refuse: [
            "+1", "++1", "--1", "-+1", "+0", "- 1", "-", "[+1]", "[-]", "[- 1]", "[1,-]", "-a", "-\"1\"", "-e5",
            "-true", "\u{2212}1",
        ]
    ),
    JSONRule(
        "there are no other notations",
        refuse: [
            "0x1", "0b1", "0o7", "1_000", "1,5", "1f", "1L", "1d", "1.5f", "0x1p3", "#1", "1/2", "1%", "\u{FF11}",
            "[1a]", "[1\"a\"]", "1-2", "1+2",
        ]
    ),
    JSONRule(
        "numbers beyond float64 and 64-bit integers are numbers",
        accept: [
            "1e400", "-1e400", "[1e309]", "1e99999999999999999999", "18446744073709551616", "-9223372036854775809",
            "123456789012345678901234567890", "{\"a\":1.7976931348623159e308}",
        ],
        difference: .range
    ),

    // 7. Strings
    JSONRule(
        "escapes are those eight and the four hex digits",
        accept: [
            #""\"""#, #""\\""#, #""\/""#, #""\b""#, #""\f""#, #""\n""#, #""\r""#, #""\t""#, #""\u0000""#, #""\u001f""#,
            #""\u00e9""#, #""\u20AC""#, #""\uFFFF""#, #""\uabCD""#, #""\u005C""#, #""\u0022""#, #""a\\b\"c\/d""#,
            #""\\u0041""#,
            #""\\\\""#, #"["\\"]"#,
        ],
        refuse: [
            #""\a""#, #""\v""#, #""\0""#, #""\x41""#, #""\'""#, #""\e""#, #""\U0041""#, #""\u""#, #""\u1""#, #""\u12""#,
            #""\u123""#, #""\u123g""#, #""\u 123""#, #""\u+123""#, #""\u-123""#, #""\u{41}""#, #""\""#, #""\\\""#,
            "\"\\\n\"",
            "\"\\ \"", #""\u12 4""#, #""\N""#, "\"\\\u{E9}\"", #""\1""#, #""\u00G0""#, "\"\\\u{0}\"",
        ]
    ),
    JSONRule(
        "surrogates come in pairs, high before low",
        accept: [#""\uD83D\uDE00""#, #""\ud800\udc00""#, #""\uDBFF\uDFFF""#, #""a\uD834\uDD1Eb""#, #""\uD7FF\uE000""#],
        refuse: [
            #""\uD800""#, #""\uDBFFx""#, #""\uDC00""#, #""\uDFFF""#, #""\uDC00\uD800""#, #""\uD800\uD800""#,
            #""\uD800\u0041""#,
            #""\uD800\n""#, #""\uD800 \uDC00""#, #""\uD83D\\uDE00""#, #""\uD800\uDBFF""#, #""\uD800\u""#,
            #""\uD800\uDC0""#,
            #""\uD83D\uDE00\uDE00""#,
        ]
    ),
    JSONRule(
        "strings have quotes, and both",
        refuse: ["\"", "\"a", "a\"", "'a'", "\"a'", "[\"a]", "{\"a:1}", "\u{201C}a\u{201D}", "`a`"]
    ),
    JSONRule(
        "control characters are escaped",
        acceptInString: [[0x20], [0x7F], [0xC2, 0x80], [0xC2, 0x85]],
        refuseInString: (0..<0x20).map { [0x61, $0, 0x62] } + [
            [0x0A], [0x00], Array(repeating: 0x61, count: 40) + [0x1F],
        ]
    ),

    // 8.1 Encoding
    JSONRule(
        "text is UTF-8",
        acceptInString: [
            [0xC2, 0x80], [0xDF, 0xBF], [0xE0, 0xA0, 0x80], [0xED, 0x9F, 0xBF], [0xEE, 0x80, 0x80], [0xEF, 0xBF, 0xBF],
            [0xF0, 0x90, 0x80, 0x80], [0xF4, 0x8F, 0xBF, 0xBF], [0xEF, 0xBB, 0xBF],
            Array("na\u{EF}ve \u{6F22}\u{5B57} \u{1F98A}".utf8),
        ],
        refuseInString: [
            // Continuation bytes alone.
            [0x80], [0xBF], [0x61, 0x80, 0x62],
            // Cut.
            [0xC2], [0xC2, 0x61], [0xE2, 0x82], [0xE2, 0x82, 0x61], [0xF0, 0x9F, 0x98], [0xF0, 0x9F, 0x98, 0x61],
            // Overlong.
            [0xC0, 0x80], [0xC1, 0xBF], [0xE0, 0x9F, 0xBF], [0xF0, 0x8F, 0xBF, 0xBF],
            // Surrogates.
            [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF],
            // Beyond U+10FFFF.
            [0xF4, 0x90, 0x80, 0x80], [0xF5, 0x80, 0x80, 0x80], [0xF8, 0x88, 0x80, 0x80, 0x80], [0xFE], [0xFF],
            // A later byte is no continuation.
            [0xC3, 0x28], [0xE2, 0x28, 0xA1], [0xF0, 0x28, 0x8C, 0xBC],
            // Latin-1.
            [0xE9], Array(repeating: 0x61, count: 31) + [0xFF],
        ]
    ),
    JSONRule("other encodings are refused", refuse: ["\u{0}\"\u{0}a\u{0}\"", "[\u{0}1\u{0}]\u{0}"]),

    // 9. Limits
    JSONRule("64 levels are enough", accept: [nested(1), nested(63), nested(64), nestedObjects(64)]),
    JSONRule("and no more are read", refuse: [nested(65), nestedObjects(65), nested(1000)], difference: .depth),
    JSONRule(
        "whatever is opened is closed",
        refuse: [String(repeating: "[", count: 64), String(repeating: "[", count: 100_000)]
    ),
]
