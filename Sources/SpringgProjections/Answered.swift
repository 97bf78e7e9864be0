/// One value that one thread waits for and another gives.
package final class Answered<Value>: @unchecked Sendable {
    // Why @unchecked: `value` is only touched while `doorbell` is locked; who gives a value has no further use for it.
    private let doorbell = Doorbell()
    private var value: Value?

    package init() {}

    /// Gives the value; of several the last counts for whoever has not looked yet.
    package func give(_ value: Value) {
        doorbell.withLock { self.value = value }
        doorbell.ring()
    }

    package func wait() -> Value {
        doorbell.withLock {
            while true {
                if let value { return value }
                doorbell.wait(nanoseconds: nil)
            }
        }
    }
}
