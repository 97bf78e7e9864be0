/// One value that one thread waits for and another gives.
final class Answered<Value>: @unchecked Sendable {
    // Why @unchecked: `value` is only touched while `doorbell` is locked; who gives a value has no further use for it.
    private let doorbell = Doorbell()
    private var value: Value?

    func give(_ value: Value) {
        doorbell.withLock { self.value = value }
        doorbell.ring()
    }

    func wait() -> Value {
        doorbell.withLock {
            while true {
                if let value { return value }
                doorbell.wait(nanoseconds: nil)
            }
        }
    }
}
