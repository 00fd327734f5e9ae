package hosting

import (
	"slices"
	"strconv"
	"strings"
	"sync"
)

// screen is a terminal that knows the escape sequences that a console writes, and panics when
// it gets others.
type screen struct {
	mu sync.Mutex

	width, height int
	lines         [][]rune // those that have left the screen, too
	x, y          int
	noWrap        bool
	raw           strings.Builder
}

func newScreen(width, height int) *screen {
	return &screen{width: width, height: height, lines: [][]rune{nil}}
}

func (s *screen) size() (width, height int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.width, s.height
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.raw.Write(p)
	for text := string(p); text != ""; {
		if sequence := escapes.FindStringIndex(text); sequence != nil && sequence[0] == 0 && text[0] == '\x1b' {
			s.control(text[:sequence[1]])
			text = text[sequence[1]:]
			continue
		}
		r := []rune(text)[0]
		text = strings.TrimPrefix(text, string(r))
		s.put(r)
		if r >= 0x4e00 && r < 0xa000 { // takes two columns
			s.put(0)
		}
	}
	return len(p), nil
}

func (s *screen) put(r rune) {
	switch {
	case r == '\n': // the kernel makes CR LF of it
		s.x = 0
		s.down()
		return
	case r == '\r':
		s.x = 0
		return
	case s.x == s.width && s.noWrap:
		s.x--
	case s.x == s.width:
		s.x = 0
		s.down()
	}
	line := s.lines[s.y]
	for len(line) <= s.x {
		line = append(line, ' ')
	}
	line[s.x] = r
	s.lines[s.y] = line
	s.x++
}

func (s *screen) down() {
	s.y++
	if s.y == len(s.lines) {
		s.lines = append(s.lines, nil)
	}
}

func (s *screen) control(sequence string) {
	body := strings.TrimPrefix(sequence, "\x1b[")
	switch {
	case coloured.MatchString(sequence):
	case body == "?7l", body == "?7h":
		s.noWrap = body == "?7l"
	case body == "J":
		s.lines = append(s.lines[:s.y:s.y], slices.Clip(s.lines[s.y])[:min(s.x, len(s.lines[s.y]))])
	case strings.HasSuffix(body, "A"):
		n, err := strconv.Atoi(strings.TrimSuffix(body, "A"))
		if err != nil {
			panic("unknown: " + sequence)
		}
		s.y = max(s.y-n, len(s.lines)-s.height, 0) // not beyond the top of the screen
	default:
		panic("unknown: " + sequence)
	}
}

// resize makes the screen narrower, as terminals do: lines that do not fit are broken.
func (s *screen) resize(width int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines [][]rune
	for i, line := range s.lines {
		if i == s.y {
			s.y = len(lines)
		}
		for len(line) > width {
			lines = append(lines, line[:width:width])
			line = line[width:]
		}
		lines = append(lines, line)
	}
	s.lines, s.width = lines, width
}

// rows are the lines that one sees, with those that have moved out at the top.
func (s *screen) rows() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for _, line := range s.lines {
		lines = append(lines, strings.TrimRight(strings.ReplaceAll(string(line), "\x00", ""), " "))
	}
	return lines[:len(lines)-1] // the last is empty, and where the cursor is
}

func (s *screen) String() string { return strings.Join(s.rows(), "\n") }
