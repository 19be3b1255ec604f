// Makes a request again for a model with another window: a fallback model may hold less than the one asked first. Made by
// the turn, which knows what may be shortened; used on the thread of the call. Never fails.

public final class RequestFitting: Sendable, Hashable {
    /// nil: not even the question fits.
    public let fit: @Sendable (ChatRequest, ModelWindow) -> ChatRequest?

    public init(_ fit: @escaping @Sendable (ChatRequest, ModelWindow) -> ChatRequest?) { self.fit = fit }

    public static func == (left: RequestFitting, right: RequestFitting) -> Bool { left === right }
    public func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}
