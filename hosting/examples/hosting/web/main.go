// Web is a guest book: a web application that keeps its entries in the cache that its
// environment names, as any service does that a host starts with WithReference.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redisbinding/redisbinding"
	"github.com/redisbinding/redisbinding/cache"
)

func main() {
	redisbinding.LogRedisTo(slog.Default()) // at debug level, in place of standard error
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	c, err := cache.Open(ctx, "cache", cache.WithInstanceName("guestbook:"))
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	book := &guestBook{cache: c}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", book.show)
	mux.HandleFunc("POST /{$}", book.sign)
	mux.Handle("GET /health", cache.HealthHandler(c.HealthChecks()))
	server := &http.Server{
		Addr:              "127.0.0.1:" + os.Getenv("PORT"),
		Handler:           http.NewCrossOriginProtection().Handler(mux),
		ReadHeaderTimeout: 10 * time.Second,
	}
	go func() {
		<-ctx.Done()
		within, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(within)
	}()
	fmt.Println("listening on http://" + server.Addr)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// guestBook keeps its state in the cache, for a day after it was last seen.
type guestBook struct {
	cache *cache.Cache
	mu    sync.Mutex // one at a time reads it, changes it, and writes it back
}

type state struct {
	Visits  int
	Entries []entry
}

type entry struct {
	Name string
	Text string
	At   time.Time
}

const (
	key        = "book"
	maxEntries = 20
)

var forADay = cache.EntryOptions{SlidingExpiration: 24 * time.Hour}

// change changes the state, and returns it.
func (b *guestBook) change(ctx context.Context, how func(*state)) (s state, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	text, found, err := b.cache.Get(ctx, key)
	if err != nil {
		return s, err
	}
	if found {
		if err := json.Unmarshal(text, &s); err != nil {
			return s, err
		}
	}
	how(&s)
	text, err = json.Marshal(s)
	if err != nil {
		return s, err
	}
	return s, b.cache.Set(ctx, key, text, forADay)
}

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

func (b *guestBook) show(w http.ResponseWriter, r *http.Request) {
	s, err := b.change(r.Context(), func(s *state) { s.Visits++ })
	if err != nil {
		b.fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := page.Execute(w, s); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func (b *guestBook) sign(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	e := entry{Name: strings.TrimSpace(r.FormValue("name")), Text: strings.TrimSpace(r.FormValue("text")), At: time.Now()}
	if e.Name == "" || e.Text == "" {
		http.Error(w, "A name and a text, please.", http.StatusBadRequest)
		return
	}
	_, err := b.change(r.Context(), func(s *state) {
		s.Entries = append([]entry{e}, s.Entries...)
		s.Entries = s.Entries[:min(maxEntries, len(s.Entries))]
	})
	if err != nil {
		b.fail(w, err)
		return
	}
	fmt.Printf("%s has signed\n", strings.Map(printable, e.Name))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (*guestBook) fail(w http.ResponseWriter, err error) {
	fmt.Fprintln(os.Stderr, err)
	http.Error(w, "The cache does not answer. It may in a moment.", http.StatusServiceUnavailable)
}

func printable(r rune) rune {
	if r < ' ' {
		return -1
	}
	return r
}
