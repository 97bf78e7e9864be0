/// With what a node comes to another, and by what it knows it.
package struct PeerAccess: Sendable {
    /// Nil when nobody asks for one.
    let token: InternalToken?
    /// A file of authorities to trust instead of the system's.
    let certificates: String?
    /// The name that certificates of nodes must carry; nil for the address at which a node is reached.
    let certificateName: String?

    /// Empty texts are none.
    package init(secret: String?, certificates: String = "", certificateName: String = "") {
        token = InternalToken(secret: secret)
        self.certificates = certificates.isEmpty ? nil : certificates
        self.certificateName = certificateName.isEmpty ? nil : certificateName
    }
}
