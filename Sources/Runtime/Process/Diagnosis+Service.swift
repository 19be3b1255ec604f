// Whether the service of this home answers, where it says that it does. As Diagnosis.swift.

import Foundation
import HTTPTransport
import Spool

extension NanobotServices {
    /// One line for each process of this home that answers requests; one line where there is none.
    var serviceDiagnoses: [Diagnosis] {
        let living: [ServiceAddress]
        do {
            living = try ServiceAddress.living(in: home, spool.files)
        } catch {
            return [Diagnosis("service", .warning, "where it answers cannot be read: \(error)")]
        }
        return living.isEmpty ? [unannounced] : living.map(reach)
    }

    private func reach(_ address: ServiceAddress) -> Diagnosis {
        let who = "process \(address.pid)"
        guard address.host == ProcessInfo.processInfo.hostName else {
            return Diagnosis("service", .ok, "\(who) of \(address.host) says that it answers at \(address.url); not asked from here")
        }
        guard address.url.hasPrefix("http:") else {
            return Diagnosis(
                "service", .ok, "\(who) says that it answers at \(address.url); not asked, since its certificate may be for another name")
        }
        do throws(TransportError) {
            let answer = try ask(address.url)
            guard answer.status != 200 else { return Diagnosis("service", .ok, "\(who) answers at \(address.url)") }
            return Diagnosis(
                "service", .failure, "\(address.url) answers \(answer.status): " + String(decoding: answer.body.prefix(300), as: UTF8.self))
        } catch {
            return Diagnosis("service", .failure, "\(who) lives and does not answer at \(address.url): \(error.detail)")
        }
    }

    /// No process of this home has said that it answers. Another home's service may be at the settings' address; so may one of this
    /// home that an earlier version started, which says nothing.
    private var unannounced: Diagnosis {
        let address = ServiceAddress.own(settings, port: settings.port)
        let none = "no service of this home is running"
        guard address.url.hasPrefix("http:"), (try? ask(address.url)) != nil else {  // nobody there: as the line says
            return Diagnosis("service", .warning, "\(none); config.json means \(address.url)")
        }
        return Diagnosis(
            "service", .warning, "\(none); the service that answers at \(address.url) is another home's, or an earlier version's")
    }

    private func ask(_ url: String) throws(TransportError) -> HTTPResponse {
        try HTTPClient(policy: .anywhere).send(
            HTTPRequest(
                method: "GET", url: "\(url)/ready", deadline: Self.patience, connectTimeout: Self.patience,
                idleTimeout: Self.patience))
    }
}
