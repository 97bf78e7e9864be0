import SpringgArchive
import SpringgProjections
import Testing

@Suite("Uploads at once")
struct UploadsTests {
    private struct Failure: Error, Equatable { let number: Int }

    /// How many are inside at a time.
    private final class Gate: @unchecked Sendable {
        // Why @unchecked: the fields are only touched while `doorbell` is locked.
        private let doorbell = Doorbell()
        private var inside = 0
        private var entered = 0
        private var most = 0

        /// Returns once `count` have entered.
        func pass(awaiting count: Int) {
            doorbell.withLock {
                inside += 1
                entered += 1
                most = max(most, inside)
                doorbell.ringAll()
                while entered < count { doorbell.wait(nanoseconds: nil) }
                inside -= 1
            }
        }

        var mostInside: Int { doorbell.withLock { most } }
        var count: Int { doorbell.withLock { entered } }
    }

    @Test("as many as allowed and never more, results in the order of the calls", arguments: [1, 4])
    func bounded(width: Int) throws {
        let gate = Gate()
        let uploads = Uploads<Int>(width: width)
        defer { uploads.close() }
        for number in 0..<40 {
            try uploads.add {
                // The first few wait for each other: one after the other they would wait for ever.
                gate.pass(awaiting: width)
                return number
            }
        }
        #expect(try uploads.finish() == Array(0..<40))
        #expect(gate.mostInside == width)
    }

    @Test("after a failure nothing more is begun, and it is what is thrown", arguments: [1, 4])
    func failure(width: Int) throws {
        let gate = Gate()
        let uploads = Uploads<Int>(width: width)
        defer { uploads.close() }
        #expect(throws: Failure(number: 3)) {
            for number in 0..<1000 {
                try uploads.add {
                    gate.pass(awaiting: 1)
                    if number == 3 { throw Failure(number: number) }
                    return number
                }
            }
            _ = try uploads.finish()
        }
        #expect(gate.count < 1000)
    }
}
