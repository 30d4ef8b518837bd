// A login of a user at Grantor, for iOS and macOS (Swift 5.9, iOS 15).

import Foundation

/// Where the refresh token is kept: the Keychain (kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly),
/// never UserDefaults or a file.
protocol Store: Sendable {
    func load() async throws -> String?
    func save(_ refreshToken: String) async throws
    func clear() async throws
}

enum SessionError: Error, Equatable {
    /// The session is over, or there is none: show the login screen.
    case loggedOut
    /// Grantor did not answer, or cannot at the moment: the session goes on. Try again later.
    case unavailable
    /// A mistake in the app: what Grantor said of it.
    case refused(String)
}

actor Session {
    private struct Tokens: Decodable {
        let access_token: String
        let expires_in: Double // seconds
        let refresh_token: String
    }

    private struct Refusal: Decodable {
        let error: String
    }

    private let issuer: URL // https://auth.example.com
    private let clientID: String // a public client with the password grant
    private let api: URL // https://orders.example.com: the token is sent there alone
    private let scope: String?
    private let store: Store
    private let http: URLSession

    private var access: (token: String, until: Date)?
    private var refreshing: Task<String, Error>?
    private var turn: Task<Void, Never>? // of what writes the store
    private var over = false // from a log-out to the next login

    init(issuer: URL, clientID: String, api: URL, scope: String? = nil, store: Store, http: URLSession = .shared) {
        self.issuer = issuer
        self.clientID = clientID
        self.api = api
        self.scope = scope
        self.store = store
        self.http = http
    }

    /// Logs in. Do not repeat it without the user: each wrong password counts towards a lockout.
    func login(username: String, password: String) async throws {
        var form = ["grant_type": "password", "username": username, "password": password]
        form["scope"] = scope
        try await inTurn { [form] in try await self.begin(form) }
    }

    /// Sends a request to the API, and repeats it once with another token after a 401.
    func data(for request: URLRequest) async throws -> (Data, HTTPURLResponse) {
        guard let url = request.url, url.scheme == api.scheme, url.host == api.host, url.port == api.port else {
            throw SessionError.refused("the URL is not the API's")
        }
        let used = try await accessToken()
        let (data, response) = try await send(request, used)
        guard response.statusCode == 401 else { return (data, response) }
        if access?.token == used { access = nil } // else another request has renewed it
        return try await send(request, accessToken())
    }

    /// Ends the session on this device, at Grantor and here.
    func logout() async throws {
        over = true // no refresh begins any more
        let token = try await inTurn { try await self.forget() }
        if let token { _ = try await ask("revoke", ["token": token]) } // the whole session ends
    }

    private func accessToken() async throws -> String {
        if over { throw SessionError.loggedOut }
        if let access, access.until > Date() { return access.token }
        if let refreshing { return try await refreshing.value } // one refresh for all requests that wait
        // There is no await between the check above and this: an actor runs one piece at a time.
        let task = Task { try await inTurn { try await self.refresh() } }
        refreshing = task
        defer { refreshing = nil }
        return try await task.value
    }

    /// Lets logins, log-outs and refreshes run one by one: an answer for one user never follows another's.
    private func inTurn<T: Sendable>(_ work: @escaping @Sendable () async throws -> T) async throws -> T {
        let before = turn
        let mine = Task {
            await before?.value
            return try await work()
        }
        turn = Task { _ = try? await mine.value }
        return try await mine.value
    }

    private func begin(_ form: [String: String]) async throws {
        _ = try await keep(ask("token", form, attempts: 1))
        over = false
    }

    private func forget() async throws -> String? {
        over = true // a login under way has ended before
        access = nil
        let token = try await store.load()
        try await store.clear()
        return token
    }

    private func refresh() async throws -> String {
        if over { throw SessionError.loggedOut }
        if let access, access.until > Date() { return access.token } // of a login before its turn
        guard let token = try await store.load() else { throw SessionError.loggedOut }
        do {
            return try await keep(ask("token", ["grant_type": "refresh_token", "refresh_token": token]))
        } catch SessionError.loggedOut { // the user, an operator or a new password ended it
            access = nil
            try await store.clear()
            throw SessionError.loggedOut
        }
    }

    /// Stores the refresh token before anything is done with the access token.
    private func keep(_ answer: Data) async throws -> String {
        let tokens = try JSONDecoder().decode(Tokens.self, from: answer)
        try await store.save(tokens.refresh_token)
        access = (tokens.access_token, Date().addingTimeInterval(tokens.expires_in - 10))
        return tokens.access_token
    }

    /// Asks Grantor, and repeats the same question where no answer came. A refresh whose answer was lost
    /// is safe to repeat: within its retry window Grantor gives the same answer to the same token.
    private func ask(_ endpoint: String, _ form: [String: String], attempts: Int = 3) async throws -> Data {
        var request = URLRequest(url: issuer.appendingPathComponent("oauth2/\(endpoint)"), timeoutInterval: 5)
        request.httpMethod = "POST"
        request.setValue("application/x-www-form-urlencoded", forHTTPHeaderField: "Content-Type")
        request.httpBody = encoded(form.merging(["client_id": clientID]) { _, new in new })
        for attempt in 1...attempts {
            if attempt > 1 { try await Task.sleep(nanoseconds: UInt64(attempt - 1) * 1_000_000_000) }
            guard let (data, response) = try? await http.data(for: request),
                  let status = (response as? HTTPURLResponse)?.statusCode else { continue } // no answer
            switch status {
            case 200: return data
            case 400: throw refusal(data)
            case 503: continue
            default: throw SessionError.unavailable
            }
        }
        throw SessionError.unavailable
    }

    /// invalid_grant is about the user; every other refusal is a mistake in the app.
    private func refusal(_ answer: Data) -> SessionError {
        guard let refusal = try? JSONDecoder().decode(Refusal.self, from: answer) else { return .unavailable }
        return refusal.error == "invalid_grant" ? .loggedOut : .refused(refusal.error)
    }

    private func send(_ request: URLRequest, _ token: String) async throws -> (Data, HTTPURLResponse) {
        var request = request
        request.setValue("Bearer \(token)", forHTTPHeaderField: "Authorization")
        let (data, response) = try await http.data(for: request)
        guard let response = response as? HTTPURLResponse else { throw SessionError.unavailable }
        return (data, response)
    }

    private func encoded(_ form: [String: String]) -> Data {
        var unreserved = CharacterSet.alphanumerics.intersection(CharacterSet(charactersIn: "\u{0}"..."\u{7F}"))
        unreserved.insert(charactersIn: "-._~")
        let pairs = form.map { name, value in
            name + "=" + (value.addingPercentEncoding(withAllowedCharacters: unreserved) ?? "")
        }
        return Data(pairs.joined(separator: "&").utf8)
    }
}
