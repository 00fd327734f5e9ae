package telemetry

import (
	"slices"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// maxCommands bounds what is kept of commands, should a caller take their names
// from elsewhere than constants.
const maxCommands = 100

// commandName tells commands apart.
type commandName struct {
	name   string // of a batch that of all commands, or ""
	script string
	batch  bool
}

// operation returns db.operation.name.
func (n commandName) operation() string {
	switch {
	case !n.batch:
		return n.name
	case n.name == "":
		return "PIPELINE"
	default:
		return "PIPELINE " + n.name
	}
}

// command is what calls of one command have in common, made once: the options
// as the API takes them, in slices because it takes them in slices.
type command struct {
	recorder *Recorder

	spanName  string
	start     []trace.SpanStartOption
	succeeded []metric.RecordOption

	attributes []attribute.KeyValue
	failed     sync.Map // failure -> []metric.RecordOption; no more than maxFailures and otherFailure
}

func (r *Recorder) newCommand(n commandName) *command {
	c := &command{
		recorder:   r,
		spanName:   n.operation(),
		attributes: append(slices.Clone(r.attributes), semconv.DBOperationName(n.operation())),
	}
	target := r.target
	if n.script != "" {
		target = n.script
		c.attributes = append(c.attributes, semconv.DBStoredProcedureName(n.script))
	}
	if target != "" {
		c.spanName += " " + target
	}
	c.start = []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(c.attributes...),
	}
	c.succeeded = recordOptions(c.attributes)
	return c
}

// outcome returns the options for a point of the histogram.
func (c *command) outcome(f failure) []metric.RecordOption {
	if f == (failure{}) {
		return c.succeeded
	}
	if opts, ok := c.failed.Load(f); ok {
		return opts.([]metric.RecordOption)
	}
	opts, _ := c.failed.LoadOrStore(f, recordOptions(slices.Concat(c.attributes, f.attributes())))
	return opts.([]metric.RecordOption)
}

func recordOptions(attributes []attribute.KeyValue) []metric.RecordOption {
	return []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(slices.Clone(attributes)...))}
}
