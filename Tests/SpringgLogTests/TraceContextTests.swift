import SpringgLog
import Testing

/// `traceparent`, read as strictly as the standard wants it.
@Suite struct TraceContextTests {
    private static let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    @Test func whatIsReadIsWrittenAgain() throws {
        let trace = try #require(TraceContext(traceparent: Self.good))
        #expect("\(trace)" == Self.good && trace.traceID == "0af7651916cd43dd8448eb211c80319c")
        // Leading zeros stay, and of the flags those that have a meaning.
        let small = try #require(TraceContext(traceparent: "00-00000000000000000000000000000001-0000000000000002-fe"))
        #expect("\(small)" == "00-00000000000000000000000000000001-0000000000000002-02")
    }

    @Test func aLaterVersionIsReadAsFarAsItIsKnown() {
        for later in ["cc" + Self.good.dropFirst(2), "cc" + Self.good.dropFirst(2) + "-what the future holds"] {
            #expect(TraceContext(traceparent: later).map { "\($0)" } == Self.good)
        }
        #expect(TraceContext(traceparent: "cc" + Self.good.dropFirst(2) + ".more") == nil)
    }

    @Test(arguments: [
        "", "00", good + "-", good + "-00", good + " ", " " + good, String(good.dropLast()), good.uppercased(),
        "ff" + good.dropFirst(2), "0g" + good.dropFirst(2), "00_" + good.dropFirst(3),
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-é", String(repeating: "0", count: 55),
    ])
    func anythingElseIsIgnored(text: String) {
        #expect(TraceContext(traceparent: text) == nil)
    }
}
