import SpringgTestKit
import Testing

extension EndToEnd {
    /// The program's commands, as typed.
    @Suite struct CommandLine {
        @Test func versionIsFourLines() throws {
            let result = try NodeFixture().run(["version"])
            #expect(result.status == .exited(0))
            let lines = result.output.split(separator: "\n")
            #expect(lines.count == 4)
            #expect(lines[0] == "Springg Vector Database")
            #expect(lines[1].hasPrefix("Version: ") && lines[2].hasPrefix("Build Time: "))
            #expect(lines[3].hasPrefix("Git Commit: "))
        }

        @Test func helpShowsExamples() throws {
            for program in ["springg", "logdump"] {
                let result = try run(program, ["--help"])
                #expect(result.status == .exited(0) && result.errors.isEmpty, "\(result)")
                #expect(result.output.contains("\n  \(program) "), "\(result)")
                let tree = try JSONValue(text: run(program, ["--experimental-dump-help"]).output)
                let commands = Self.commands(try #require(tree["command"]))
                #expect(commands.count > 10)
                for (name, text) in commands {
                    #expect(
                        "\(text)\n".contains("  \(name)\n") || text.contains("  \(name) "),
                        "\(name) shows no example"
                    )
                    #expect(text.contains("Exit codes: 0 ") || text.contains("Exit status"), "\(name) names none")
                }
            }
        }

        /// All commands below one, by their whole names, with what their help has beside the options.
        private static func commands(_ command: JSONValue, below: String = "") -> [(name: String, text: String)] {
            let name = below + (command["commandName"]?.string ?? "")
            let more = command["subcommands"]?.array?.filter { $0["commandName"]?.string != "help" } ?? []
            return [(name, command["discussion"]?.string ?? "")] + more.flatMap { commands($0, below: name + " ") }
        }

        private func run(_ program: String, _ arguments: [String]) throws -> CommandResult {
            try ChildProcess.run(
                BuiltProgram.path(program),
                arguments,
                environment: ["PATH": "/usr/bin:/bin"],
                workingDirectory: "/"
            )
        }

        @Test func bothProgramsAreOfOneVersion() throws {
            let versions = try ["springg", "logdump"].map { try run($0, ["--version"]) }
            for version in versions { #expect(version.status == .exited(0) && version.errors.isEmpty, "\(version)") }
            let lines = versions.map { $0.output.split(separator: "\n") }
            #expect(lines[0].count == 4 && lines[0].dropFirst() == lines[1].dropFirst(), "\(lines)")
            #expect(lines[1].first?.hasPrefix("logdump") == true)
            #expect(try run("springg", ["version"]).output == versions[0].output)
        }

        @Test func wrongUsageIsSaidOnStandardErrorAlone() throws {
            for arguments in [["frobnicate"], ["serve", "--frobnicate"], ["generate-jwt", "--user-id"]] {
                let result = try NodeFixture().run(arguments)
                #expect(result.status != .exited(0), "\(result)")
                #expect(result.output.isEmpty && !result.errors.isEmpty, "\(result)")
            }
        }

        @Test func initWritesAConfigurationThatServes() throws {
            let node = try NodeFixture()
            let result = try node.run(["init"])
            #expect(result.status == .exited(0), "\(result)")
            let path = node.directory + "/springg.json"
            let settings = try JSONValue(Files.read(path))
            let secret = try #require(settings["jwt_secret"]?.string)
            #expect(secret.utf8.count >= 32)
            #expect(!result.output.contains(secret) && !result.errors.contains(secret))
            #expect(settings["require_jwt"]?.bool == true)
            // A second one does not take the first one's secret away.
            let again = try node.run(["init"])
            #expect(again.status == .exited(1) && again.errors.contains("exists"), "\(again)")
            #expect(try JSONValue(Files.read(path))["jwt_secret"]?.string == secret)
            let other = try NodeFixture()
            _ = try other.run(["init"])
            #expect(try JSONValue(Files.read(other.directory + "/springg.json"))["jwt_secret"]?.string != secret)

            let token = try node.run(["generate-jwt", "--user-id", "my-app"])
            #expect(token.status == .exited(0) && token.errors.isEmpty, "\(token)")
            let text = try #require(token.output.split(separator: "\n").first.map(String.init))
            // `T=$(springg generate-jwt)` must hold the token and nothing else.
            #expect(token.output == text + "\n")
            #expect(text.split(separator: ".").count == 3)

            node.flags = ["bind-address": "127.0.0.1"]
            try node.start()
            let client = node.client(token: text)
            #expect(try client.request("GET", "/api/indexes").status == 200)
            #expect(try client.request("POST", "/api/indexes/a", json: #"{"dimensions":2}"#).status == 200)
            #expect(try node.client().request("GET", "/api/indexes").status == 401)
            #expect(try node.client(token: text + "x").request("GET", "/api/indexes").status == 401)
            #expect(try node.terminate() == .exited(0))
        }

        @Test func claimsOfATokenCanBeGiven() throws {
            let node = try NodeFixture(flags: ["require-jwt": "true", "jwt-secret": Token.secret])
            node.environment["SPRINGG_JWT_SECRET"] = Token.secret
            try node.start()
            func status(_ claims: String, _ method: String, _ path: String) throws -> Int {
                let result = try node.run(["generate-jwt", "--claims", claims])
                try #require(result.status == .exited(0), "\(result)")
                let token = String(result.output.dropLast())
                return try node.client(token: token).request(method, path, json: #"{"dimensions":2}"#).status
            }
            #expect(try status(#"{"permissions":["read"]}"#, "POST", "/api/indexes/a") == 403)
            #expect(try status(#"{"team":"x"}"#, "POST", "/api/indexes/a") == 200)
            #expect(try status(#"{"exp":1700000000}"#, "POST", "/api/indexes/b") == 401)
            #expect(try status(#"{"iss":"other"}"#, "POST", "/api/indexes/b") == 401)
            let bad = try node.run(["generate-jwt", "--claims", "{"])
            #expect(bad.status == .exited(1) && bad.output.isEmpty, "\(bad)")
            #expect(bad.errors.contains("invalid JSON in --claims: "), "\(bad)")
        }

        @Test func verboseShowsWhatTheTokenSays() throws {
            let node = try NodeFixture()
            node.environment["SPRINGG_JWT_SECRET"] = Token.secret
            let output = try node.run(["generate-jwt", "--user-id", "my-app", "--verbose"]).output
            for text in [
                "Generated JWT Token:", "Token Details:", "User ID: my-app", "Issuer: springg", "Issued At: 20",
                "Never",
            ] {
                #expect(output.contains(text), "\(output)")
            }
        }

        @Test func noSecretMeansNoToken() throws {
            let result = try NodeFixture().run(["generate-jwt"])
            #expect(result.status == .exited(1) && result.output.isEmpty, "\(result)")
            #expect(result.errors.contains("jwt_secret not configured in springg.json"), "\(result)")
        }

        @Test(arguments: [
            "", "change-this-secret-in-production", "your-secret-key-here", "short", "31 bytes are one byte too few..",
        ])
        func aSecretThatGuardsNothingIsRefusedWithTheCommandThatMakesOne(_ secret: String) throws {
            let node = try NodeFixture(flags: ["require-jwt": "true"])
            node.environment["SPRINGG_JWT_SECRET"] = secret
            let result = try node.startExpectingExit()
            #expect(result.status == .exited(1), "\(result)")
            #expect(result.errors.contains("jwt_secret"), "\(result)")
            #expect(
                result.errors.contains("springg init") && result.errors.contains("openssl rand -base64 32"),
                "\(result)"
            )
            #expect(!Files.exists(node.dataPath))
        }

        @Test func settingsComeFromFlagThenEnvironmentThenFileThenDefault() throws {
            let node = try NodeFixture()
            let file =
                #"{"port":7001,"max_connections":11,"max_body_mb":21,"unknown":1,"jwt_secret":"\#(Token.secret)"}"#
            try Files.write(node.directory + "/springg.json", Array(file.utf8))
            let environment = ["SPRINGG_PORT": "7002", "SPRINGG_MAX_CONNECTIONS": "12"]
            let result = try node.run(["config", "--json", "--port", "7003"], environment: environment)
            #expect(result.status == .exited(0), "\(result)")
            let settings = try #require(JSONValue(text: result.output)["settings"])
            func expectSetting(_ key: String, _ value: JSONValue, _ source: String) {
                #expect(settings[key]?["value"] == value, "\(key)")
                #expect(settings[key]?["source"] == .string(source), "\(key)")
            }
            expectSetting("port", .number("7003"), "flag")
            expectSetting("max_connections", .number("12"), "environment")
            expectSetting("max_body_mb", .number("21"), "file")
            expectSetting("rate_limit_per_second", .number("100"), "default")
            #expect(settings["jwt_secret"]?["source"] == .string("file"))
        }

        @Test func configMasksTheSecretEverywhere() throws {
            let node = try NodeFixture()
            let file = #"{"jwt_secret":"\#(Token.secret)"}"#
            try Files.write(node.directory + "/springg.json", Array(file.utf8))
            for arguments in [["config"], ["config", "--json"], ["config", "--jwt-secret", Token.secret]] {
                let result = try node.run(arguments)
                #expect(result.status == .exited(0), "\(result)")
                #expect(!result.output.contains(Token.secret) && !result.errors.contains(Token.secret))
                #expect(result.output.contains("jwt_secret"))
            }
        }

        @Test func everyBadSettingIsRefusedByNameBeforeAnythingIsTouched() throws {
            let bad = [
                ("port", "65536", "invalid port: 65536"), ("dimensions", "0", "dimensions must be positive: 0"),
                ("log-level", "loud", "invalid log_level: loud (must be debug, info, warn, or error)"),
                ("persistence-interval", "often", "invalid persistence_interval: "),
                ("s3-sync-interval", "-", "invalid s3_sync_interval: "), ("max-connections", "-1", "max_connections"),
            ]
            for (flag, value, text) in bad {
                let node = try NodeFixture()
                let result = try node.run([
                    "serve", "--require-jwt", "false", "--data-path", node.dataPath, "--\(flag)=\(value)",
                ])
                #expect(result.status == .exited(1), "\(flag): \(result)")
                #expect(result.errors.contains(text), "\(flag): \(result)")
                #expect(!Files.exists(node.dataPath), "\(flag)")
            }
        }

        @Test func aFileWithABadSettingIsRefusedByName() throws {
            let bad = [
                (#"{"data_path":""}"#, "data_path is required"), (#"{"port":"x"}"#, "port"),
                (#"{"port":0}"#, "invalid port: 0"),
                (#"{"require_jwt":"yes"}"#, "require_jwt"), ("{", "springg.json"), ("[]", "springg.json"),
            ]
            for (file, text) in bad {
                let node = try NodeFixture()
                try Files.write(node.directory + "/springg.json", Array(file.utf8))
                let result = try node.run(["serve"], environment: ["SPRINGG_JWT_SECRET": Token.secret])
                #expect(result.status == .exited(1), "\(file): \(result)")
                #expect(result.errors.contains(text), "\(file): \(result)")
            }
        }

        @Test func goDurationsAreUnderstood() throws {
            let node = try NodeFixture(flags: [
                "idle-timeout": "1h30m", "read-timeout": "30s", "request-timeout": "1m0.5s",
            ])
            try node.start()
            #expect(try node.client().request("GET", "/api/health").status == 200)
            #expect(try node.terminate() == .exited(0))
        }

        @Test func logLinesCanBeJSON() throws {
            let node = try NodeFixture(flags: ["log-format": "json"])
            try node.start()
            #expect(try node.terminate() == .exited(0))
            let lines = node.log.split(separator: "\n").filter { !$0.hasPrefix("Springg is ready") }
            #expect(!lines.isEmpty)
            for line in lines {
                let object = try JSONValue(text: String(line))
                #expect(object["level"]?.string != nil && object["message"]?.string != nil, "\(line)")
            }
        }
    }
}
