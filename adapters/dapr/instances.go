package dapr

import (
	"fmt"
	"log/slog"
	"sync"

	"github.com/redisbinding/redisbinding"
)

// instances holds the bindings by the name of the component they are for.
type instances struct {
	logger *slog.Logger

	mu      sync.Mutex
	current map[string]*instance

	closing sync.WaitGroup // those that are being closed
}

// instance is a binding and how many have it in hand. The binding itself could not
// tell: between looking it up and calling it there is a moment, in which a binding
// that was replaced must not be closed.
type instance struct {
	name    string
	binding redisbinding.OutputBinding
	users   int  // of the mutex of instances
	retired bool // nobody else will get it
}

func newInstances(logger *slog.Logger) *instances {
	return &instances{logger: logger, current: map[string]*instance{}}
}

// install makes the binding the one of this name. The one that it replaces is closed
// as soon as nobody has it in hand, and nobody waits for that.
func (s *instances) install(name string, binding redisbinding.OutputBinding) (replaced bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.current[name]
	s.current[name] = &instance{name: name, binding: binding}
	if old != nil {
		s.retire(old)
	}
	return old != nil
}

// use calls f with the binding of this name, which is not closed before f returns.
// It says whether there is one.
func (s *instances) use(name string, f func(redisbinding.OutputBinding)) bool {
	s.mu.Lock()
	i := s.current[name]
	if i == nil {
		s.mu.Unlock()
		return false
	}
	i.users++
	s.mu.Unlock()

	defer func() { // a panic, too, gives it back
		s.mu.Lock()
		defer s.mu.Unlock()
		i.users--
		s.closeUnused(i)
	}()
	f(i.binding)
	return true
}

// retire has the instance closed once it is unused. It needs the mutex.
func (s *instances) retire(i *instance) {
	i.retired = true
	s.closeUnused(i)
}

// closeUnused closes an instance that is retired and that nobody has in hand. It
// needs the mutex, and so closes in a goroutine of its own.
func (s *instances) closeUnused(i *instance) {
	if !i.retired || i.users > 0 {
		return
	}
	s.closing.Go(func() { s.closeBinding(i.name, i.binding) })
}

func (s *instances) closeBinding(name string, binding redisbinding.OutputBinding) {
	defer func() {
		if r := recover(); r != nil {
			s.logger.Error("redisbinding: closing a binding panicked", "instance", name, "panic", describePanic(r))
		}
	}()
	if err := binding.Close(); err != nil {
		s.logger.Warn("redisbinding: closing a binding failed", "instance", name, "error", err)
	}
}

// close closes all bindings and waits for it. Nobody may install one meanwhile.
func (s *instances) close() {
	s.mu.Lock()
	for name, i := range s.current {
		delete(s.current, name)
		s.retire(i)
	}
	s.mu.Unlock()
	s.closing.Wait()
}

// describePanic says what a panic was about without saying what may be secret: a
// panic of the Go runtime holds no value of the program's but numbers.
func describePanic(r any) string {
	if err, ok := r.(interface {
		error
		RuntimeError()
	}); ok {
		return err.Error()
	}
	return fmt.Sprintf("a %T", r)
}
