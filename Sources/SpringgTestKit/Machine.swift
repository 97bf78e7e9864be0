import CTestKit
import Glibc

/// A machine of a `Network`, as far as a network can tell: an address and a loopback of its own.
///
/// It is a network namespace without a name, so nothing of it is left when its processes and this value are gone, not even
/// after the test's own process was killed.
package final class Machine: Sendable {
    /// Its IPv4 address.
    package let address: String
    /// Place in the network's list.
    package let number: Int

    private let namespace: Int32
    /// Where the packets that it sends are read, and those for it written.
    let device: Int32

    init(number: Int, address: String, mask: String) throws {
        self.number = number
        self.address = address
        var device: Int32 = -1
        namespace = testkit_network_new(address, mask, &device)
        self.device = device
        guard namespace >= 0 else {
            throw TestKitError(
                "\(TestKitError.system("making a network namespace")). These tests cut networks that they make. Run them as "
                    + "root (CAP_SYS_ADMIN and /dev/net/tun), or, where users may make namespaces, as "
                    + "unshare --user --map-root-user --net sh -c 'ip link set lo up; make test'"
            )
        }
    }

    deinit {
        close(device)
        close(namespace)
    }

    /// Does something on this machine: sockets that are made and processes that are started meanwhile belong to it.
    package func run<Result>(_ body: () throws -> Result) throws -> Result {
        let before = testkit_network_enter(namespace)
        guard before >= 0 else { throw TestKitError.system("entering the network of \(address)") }
        defer { testkit_network_return(before) }
        return try body()
    }
}
