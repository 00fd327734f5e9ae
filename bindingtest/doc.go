// Package bindingtest helps to test code that uses an output binding.
//
// [New] gives a test a binding on a Redis of its own, in memory: nothing to
// install, nothing to clean up, and no test sees the keys of another. Its clock
// moves only when told to, and it can fail and go away:
//
//	func TestSessionExpires(t *testing.T) {
//		binding := bindingtest.New(t)
//		sessions := NewSessions(binding) // takes a redisbinding.OutputBinding
//		sessions.Start("ada")
//		binding.Advance(time.Hour)
//		...
//	}
//
// The Redis is [github.com/alicebob/miniredis/v2], which stands in for one server:
// it knows no cluster and no sentinels, no TLS, no permissions and no limit of
// memory. What hangs on those wants a real server.
//
// [Conformance] is for who makes an output binding, or a way to reach one: it
// checks that a binding keeps the contract of [redisbinding.OutputBinding].
//
// The package is for tests only: it imports testing and the Redis in memory,
// neither of which the package redisbinding does.
package bindingtest
