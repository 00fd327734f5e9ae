package benchmarks

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"
)

var (
	peersFlag      = flag.String("peers", "", "who takes part, of binding, checked, pool, autopipeline, asyncautopipeline and rueidis, or of those that Cache names (default: as the benchmark says)")
	callersFlag    = flag.String("callers", "", "how many goroutines call at the same time, as in 1,64 (default: as the benchmark says)")
	sizesFlag      = flag.String("sizes", "", "sizes of the values in bytes (default: as the benchmark says)")
	operationsFlag = flag.String("ops", "", "what is called, of create, get, delete and mixed, which is create and get in turn, or of what Cache names (default: as the benchmark says)")
	roundsFlag     = flag.Int("rounds", 5, "how many turns each of the peers has")
	sliceFlag      = flag.Duration("slice", 250*time.Millisecond, "how long a turn is")
	batchBytesFlag = flag.Int("batchbytes", 1<<20, "MaxBatchBytes of asyncautopipeline")
	outFlag        = flag.String("out", "", "folder to write the tables and plots to (default: none, the tables are only printed)")
)

// selection is what to measure, each as a list with commas.
type selection struct{ peers, callers, sizes, operations string }

// settings say what is measured, and for how long.
type settings struct {
	peers     []string
	workloads []workload
	rounds    int
	slice     time.Duration
	warmUp    time.Duration // before each slice
}

// flagSettings returns what the flags say and, for what they leave open, the
// defaults.
func flagSettings(defaults selection) (*settings, error) {
	return newSettings(selection{
		peers:      cmp.Or(*peersFlag, defaults.peers),
		callers:    cmp.Or(*callersFlag, defaults.callers),
		sizes:      cmp.Or(*sizesFlag, defaults.sizes),
		operations: cmp.Or(*operationsFlag, defaults.operations),
	}, *roundsFlag, *sliceFlag)
}

func newSettings(selected selection, rounds int, slice time.Duration) (*settings, error) {
	sizes, err := numbers(selected.sizes)
	if err != nil {
		return nil, fmt.Errorf("-sizes: %w", err)
	}
	callers, err := numbers(selected.callers)
	if err != nil {
		return nil, fmt.Errorf("-callers: %w", err)
	}
	if rounds < 1 || slice <= 0 {
		return nil, errors.New("-rounds and -slice: must be positive")
	}
	s := &settings{
		peers:  strings.Split(selected.peers, ","),
		rounds: rounds,
		slice:  slice,
		warmUp: 20 * time.Millisecond,
	}
	for _, size := range sizes {
		for op := range strings.SplitSeq(selected.operations, ",") {
			for _, n := range callers {
				s.workloads = append(s.workloads, workload{operation(op), size, n, 1})
			}
		}
	}
	return s, nil
}

func numbers(list string) ([]int, error) {
	var all []int
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is not a list of positive numbers", list)
		}
		all = append(all, n)
	}
	return all, nil
}
