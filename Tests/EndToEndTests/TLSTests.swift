import Glibc
import SpringgTestKit
import Testing

extension EndToEnd {
    /// HTTPS as users meet it: other people's clients, our commands, nodes among themselves, files that are wrong.
    @Suite struct TLSTests {
        private static func run(_ program: String, _ arguments: [String]) throws -> CommandResult {
            try ChildProcess.run(
                "/usr/bin/env",
                [program] + arguments,
                environment: ["PATH": "/usr/bin:/bin", "HOME": "/nonexistent"],
                workingDirectory: "/tmp"
            )
        }

        private static func flags(_ files: (certificate: String, key: String)) -> [String: String] {
            ["tls-certificate": files.certificate, "tls-key": files.key]
        }

        /// An answer's body by curl, which checks the certificate.
        private static func curl(
            _ node: NodeFixture,
            _ path: String,
            _ authority: CertificateAuthority,
            _ more: [String] = []
        )
            throws -> CommandResult
        {
            try run(
                "curl",
                ["-sS", "--cacert", authority.certificate] + more + ["https://127.0.0.1:\(node.port)\(path)"]
            )
        }

        @Test func otherPeoplesClientsAreServed() throws {
            let authority = try CertificateAuthority()
            let node = try NodeFixture(flags: Self.flags(authority.issue("node")))
            try node.start()
            #expect(node.log.contains("Springg is ready on https://127.0.0.1:\(node.port)"))

            // Two requests on one connection, HTTP/2 offered beside HTTP/1.1.
            let page = "https://127.0.0.1:\(node.port)/"
            let twice = try Self.curl(node, "/api/health", authority, ["-v", page, "-o", "/dev/null"])
            #expect(twice.status == .exited(0) && twice.output.contains("healthy"), "\(twice)")
            #expect(twice.errors.contains("ALPN") && twice.errors.contains("http/1.1"), "\(twice)")
            #expect(twice.errors.contains("Re-using existing connection"), "\(twice)")

            // The whole chain is sent: the root is all that a client needs.
            let client = ["s_client", "-connect", "127.0.0.1:\(node.port)", "-CAfile", authority.certificate, "-brief"]
            let checks = ["-verify_return_error", "-verify_hostname", CertificateAuthority.serverName]
            for version in ["-tls1_2", "-tls1_3"] {
                let session = try Self.run("openssl", client + checks + [version])
                #expect(session.status == .exited(0) && session.errors.contains("Verification: OK"), "\(session)")
            }
            // What is too old, or another protocol, is refused.
            for wrong in [
                ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], ["-alpn", "h2"], ["-tls1_2", "-cipher", "AES128-SHA"],
            ] {
                let session = try Self.run("openssl", client + wrong)
                #expect(session.status == .exited(1), "\(wrong): \(session)")
            }

            let python = """
                import http.client, ssl, sys
                context = ssl.create_default_context(cafile=sys.argv[2])
                client = http.client.HTTPSConnection("127.0.0.1", int(sys.argv[1]), context=context)
                for request in [("POST", "/api/indexes/a", '{"dimensions":2}'), ("GET", "/api/indexes/a/stats", None)] * 2:
                    client.request(*request)
                    answer = client.getresponse()
                    print(answer.status, len(answer.read()) > 0)
                """
            let answers = try Self.run("python3", ["-c", python, "\(node.port)", authority.certificate])
            #expect(answers.output == "200 True\n200 True\n409 True\n200 True\n", "\(answers)")
            #expect(try node.terminate() == .exited(0))
        }

        @Test func filesThatAreWrongEndTheStart() throws {
            let authority = try CertificateAuthority()
            let good = try authority.issue("good")
            let expired = try authority.issue("expired", days: -1)
            try Files.write(authority.path("text.pem"), Array("no certificate\n".utf8))
            chmod(authority.path("text.pem"), 0o600)
            try Files.write(authority.path("open.key"), Files.read(good.key))
            chmod(authority.path("open.key"), 0o644)
            let locked = try Self.run(
                "openssl",
                ["pkey", "-in", good.key, "-aes128", "-passout", "pass:secret", "-out", authority.path("locked.key")]
            )
            #expect(locked.status == .exited(0), "\(locked)")
            try Files.write(authority.path("cut.pem"), Files.read(good.certificate).dropLast(200))
            for (certificate, key, text) in [
                (expired.certificate, expired.key, "expired at "), (good.certificate, expired.key, "is not that of"),
                (authority.path("text.pem"), good.key, "holds no certificate"),
                (good.certificate, authority.path("text.pem"), "holds no private key"),
                (authority.path("cut.pem"), good.key, "cannot be used"),
                (good.certificate, authority.path("open.key"), "has mode 644"),
                (good.certificate, authority.path("locked.key"), "without one"),
                (authority.path("nothing.pem"), good.key, "No such file"), ("/tmp", good.key, "it is no file"),
                (good.certificate, "", "tls_key is not"), ("", good.key, "tls_certificate is not"),
            ] {
                let node = try NodeFixture(flags: ["tls-certificate": certificate, "tls-key": key, "port": "1"])
                if key.isEmpty { node.flags["tls-key"] = nil }
                if certificate.isEmpty { node.flags["tls-certificate"] = nil }
                let result = try node.startExpectingExit()
                #expect(result.status == .exited(1), "\(result)")
                #expect(result.errors.contains("error: ") && result.errors.contains(text), "\(text): \(result)")
                #expect(!Files.exists(node.dataPath), "nothing was changed")
            }
        }

        @Test func aRenewedCertificateIsTakenWithoutARestart() throws {
            let authority = try CertificateAuthority()
            let files = try authority.issue("node")
            let node = try NodeFixture(flags: Self.flags(files))
            try node.start()
            func serial() throws -> String {
                let shown = try Self.run("openssl", ["s_client", "-connect", "127.0.0.1:\(node.port)"])
                let lines = shown.output.split(separator: "\n")
                let begin = try #require(lines.firstIndex { $0.hasPrefix("-----BEGIN") }, "\(shown)")
                let end = try #require(lines.firstIndex { $0.hasPrefix("-----END") })
                return lines[begin...end].joined()
            }
            let first = try serial()
            #expect(try serial() == first)
            // Half a renewal: another certificate beside the old key.
            let oldKey = try Files.read(files.key)
            try authority.issue("node")
            let newKey = try Files.read(files.key)
            try Files.write(files.key, oldKey)
            #expect(try comesTrue { node.log.contains("the old one stays") })
            #expect(try serial() == first)
            try Files.write(files.key, newKey)
            #expect(try comesTrue { node.log.contains("Certificate renewed") })
            #expect(try serial() != first)
            #expect(try Self.curl(node, "/api/health", authority).output.contains("healthy"))
            let metrics = try Self.curl(node, "/metrics", authority).output
            #expect(metrics.contains("springg_tls_certificate_expiry_timestamp_seconds 1"))
            #expect(metrics.contains(#"springg_tls_handshakes_total{result="done"}"#))
            let promtool = RepositoryFiles.root + "/.build/agents/promtool"
            try Files.write(authority.path("metrics"), Array(metrics.utf8))
            let checked = try Self.run("sh", ["-c", "'\(promtool)' check metrics < '\(authority.path("metrics"))'"])
            #expect(checked.status == .exited(0) && checked.errors.isEmpty, "\(checked)")
        }

        @Test func commandsSpeakHTTPS() throws {
            let authority = try CertificateAuthority()
            let node = try NodeFixture(
                flags: Self.flags(authority.issue("node")).merging(["cluster-enabled": "true"]) { $1 }
            )
            try node.start()
            let url = "https://127.0.0.1:\(node.port)"
            let trust = ["--tls-ca-certificate", authority.certificate]
            let status = try node.run(["cluster", "status", "--node", url, "--json"] + trust)
            #expect(status.status == .exited(0) && status.output.contains("responding_node"), "\(status)")
            let named = trust + ["--tls-server-name", CertificateAuthority.serverName]
            #expect(try node.run(["cluster", "status", "--node", url] + named).status == .exited(0))
            for wrong in [[], trust + ["--tls-server-name", "other.test"]] {
                let refused = try node.run(["cluster", "status", "--node", url] + wrong)
                #expect(refused.status == .exited(1) && refused.errors.contains("tls_ca_certificate"), "\(refused)")
                let bench = try node.run(["bench", "--host", url, "--operation", "health"] + wrong)
                #expect(bench.status == .exited(1) && bench.errors.contains("cannot reach https://"), "\(bench)")
            }
            // By the server's own configuration nothing but the authority need be said.
            let own = ["--data-path", node.dataPath, "--port", "\(node.port)", "--bind-address", "127.0.0.1"]
            let files = ["--tls-certificate", "used as a sign only", "--require-jwt", "false"]
            let mark = try node.run(["mark", "one"] + own + files + trust)
            #expect(mark.status == .exited(0) && mark.output.contains("one"), "\(mark)")
            let load = ["bench", "--host", url, "--vectors", "200", "--dimensions", "8", "--duration", "0.3", "--json"]
            let bench = try node.run(load + ["--warmup", "0", "--connections", "4"] + trust)
            #expect(bench.status == .exited(0) && bench.output.contains(#""errors":0"#), "\(bench)")
        }

        @Test func nodesReplicateOverTLSToWhomTheyTrust() throws {
            let authority = try CertificateAuthority()
            let stranger = try CertificateAuthority()
            let ports = try (0..<3).map { _ in try Socket.freePort() }
            let seeds = ports.map { "localhost:\($0)" }.joined(separator: ",")
            func make(_ name: String, _ port: Int, _ signer: CertificateAuthority) throws -> NodeFixture {
                let flags = [
                    "cluster-enabled": "true", "node-id": name, "cluster-bind-port": "\(port)", "cluster-seeds": seeds,
                    "jwt-secret": Token.secret, "tls-ca-certificate": authority.certificate,
                    "tls-server-name": CertificateAuthority.serverName,
                ]
                let node = try NodeFixture(flags: flags.merging(Self.flags(signer.issue("node"))) { $1 })
                try node.start()
                return node
            }
            let token = ["-H", "Authorization: Bearer \(Token.with(permissions: ["read", "write", "internal"]))"]
            let (a, b) = (try make("a", ports[0], authority), try make("b", ports[1], authority))
            func post(_ node: NodeFixture, _ path: String, _ body: String) throws -> CommandResult {
                try Self.curl(node, path, authority, token + ["-d", body, "-H", "content-type: application/json"])
            }
            #expect(try post(a, "/api/indexes/i", #"{"dimensions":2}"#).output.contains("success"))
            #expect(
                try comesTrue {
                    try post(a, "/api/indexes/i/vectors?ack=peer", #"{"id":"1","vector":[1,2]}"#).output
                        .contains(#""ack":"peer""#)
                },
                "\(a.log)\n\(b.log)"
            )
            #expect(try Self.curl(b, "/api/indexes/i/vectors/1", authority, token).output.contains("[1,2]"))

            // One whose certificate others do not trust gets nothing, and they say why.
            let c = try make("c", ports[2], stranger)
            #expect(
                try comesTrue {
                    let status = try Self.curl(a, "/internal/cluster/status", authority, token).output
                    return status.contains("certificate")
                },
                "\(a.log)"
            )
            let status = try Self.curl(a, "/internal/cluster/status", authority, token).output
            #expect(status.occurrences(of: #""api_scheme": "https""#) == 3, "\(status)")
            let table = try a.run(
                ["cluster", "status", "--node", "https://127.0.0.1:\(a.port)", "--jwt-secret", Token.secret]
                    + ["--tls-ca-certificate", authority.certificate]
            )
            #expect(table.output.contains("https://127.0.0.1:\(b.port)"), "\(table)")
            withExtendedLifetime(c) {}
        }
    }
}
