package telemetry

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Call is one command about to be sent. It holds no value.
type Call struct {
	// Command is the name of the Redis command, as it is sent ("GET"). It should
	// be a constant.
	Command string
	// Script names the script of an EVAL or EVALSHA, whose only key is Key; empty
	// for other commands. It should be a constant.
	Script string
	// Key is the key. It is recorded only when [Config.Keys] asks for it.
	Key string
	// Arguments are what follows the key, with "?" for each value ("? EX ?"), as
	// it is to be in db.query.text.
	Arguments string
}

// Operation is a call, or a batch of calls, under way. The zero Operation is one
// that is not recorded.
type Operation struct {
	command *command        // nil: nothing is recorded
	ctx     context.Context // with the span, which the histogram takes exemplars from
	span    trace.Span      // nil: no spans
	start   time.Duration   // since the Recorder was made; 0 without metrics
}

// Start begins to record a call and returns the context to make it with, which
// carries the span. The Operation must be ended.
func (r *Recorder) Start(ctx context.Context, call Call) (context.Context, Operation) {
	if r == nil { // here, so that the compiler inlines it into the caller
		return ctx, Operation{}
	}
	return r.startCall(ctx, call)
}

func (r *Recorder) startCall(ctx context.Context, call Call) (context.Context, Operation) {
	name := commandName{name: call.Command, script: call.Script}
	if r.keys && r.tracer != nil {
		return r.start(ctx, name, semconv.DBQueryText(queryText(call)))
	}
	return r.start(ctx, name)
}

// StartBatch is Start for calls that are made together: as one operation, unless
// there is only one of them. It may ask for the calls more than once, but not
// after it has returned.
func (r *Recorder) StartBatch(ctx context.Context, calls iter.Seq[Call]) (context.Context, Operation) {
	if r == nil { // as in Start
		return ctx, Operation{}
	}
	return r.startBatch(ctx, calls)
}

func (r *Recorder) startBatch(ctx context.Context, calls iter.Seq[Call]) (context.Context, Operation) {
	var first Call
	size, name := 0, commandName{batch: true}
	for call := range calls {
		if size++; size == 1 {
			first, name.name, name.script = call, call.Command, call.Script
		}
		if call.Command != name.name {
			name.name = ""
		}
		if call.Script != name.script {
			name.script = ""
		}
	}
	if size == 1 {
		return r.startCall(ctx, first)
	}
	attributes := []attribute.KeyValue{semconv.DBOperationBatchSize(size)}
	if r.keys && r.tracer != nil && size > 0 {
		attributes = append(attributes, semconv.DBQueryText(batchText(calls)))
	}
	return r.start(ctx, name, attributes...)
}

// start begins to record. The attributes are the span's alone.
func (r *Recorder) start(ctx context.Context, name commandName, attributes ...attribute.KeyValue) (context.Context, Operation) {
	c, _ := r.commands.get(name, r.newCommand)
	op := Operation{command: c}
	if r.duration != nil {
		op.start = time.Since(r.made)
	}
	if r.tracer != nil {
		opts := c.start
		if len(attributes) > 0 {
			opts = append(slices.Clip(opts), trace.WithAttributes(attributes...))
		}
		ctx, op.span = r.tracer.Start(ctx, c.spanName, opts...)
	}
	op.ctx = ctx
	return ctx, op
}

// End records that the operation has ended, with err or successfully: nil, or
// redis.Nil, which says that there is nothing at the key. It must be called once.
func (op Operation) End(err error) {
	if op.command != nil { // as in Start
		op.end(err)
	}
}

func (op Operation) end(err error) {
	r := op.command.recorder
	var f failure
	// One that wraps redis.Nil, as of sentinels that do not know the master, is an error.
	if err != nil && err != redis.Nil { //nolint:errorlint // see above
		f = r.failureOf(err)
	}
	if r.duration != nil {
		took := time.Since(r.made) - op.start
		r.duration.Record(op.ctx, took.Seconds(), op.command.outcome(f)...)
	}
	if op.span == nil {
		return
	}
	if f != (failure{}) && op.span.IsRecording() {
		op.span.SetAttributes(f.attributes()...)
		// Exporters refuse what is not UTF-8, and all that goes with it.
		op.span.SetStatus(codes.Error, strings.ToValidUTF8(err.Error(), "\uFFFD"))
	}
	op.span.End()
}
