package soak

import (
	"flag"
	"slices"
	"testing"
	"time"

	"github.com/redisbinding/redisbinding/internal/redistest"
)

var (
	each   = flag.Duration("each", 0, "how `long` each fault lasts, or is repeated; 0: a smoke test, with a few of them")
	report = flag.String("report", "", "the `file` whose tables to write")

	duration time.Duration // of each fault
)

func TestMain(m *testing.M) { redistest.Main(m) }

// A smoke test is for every run of all tests: it sees that the soak works, and finds
// what breaks all the time.
const smokeTime = 200 * time.Millisecond

var smoke = []string{"Server is killed and restarted", "Connections are cut", "Replies are lost", "Caches are cut", "Password changes"}

// TestFaults runs the scenarios one after the other, since each is to have the machine
// for itself, and then reports.
func TestFaults(t *testing.T) {
	duration = *each
	if duration == 0 {
		duration = smokeTime
	}
	for _, test := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"Server is killed and restarted", testServerIsKilledAndRestarted},
		{"Server is stopped", testServerIsStopped},
		{"Primary is killed", testPrimaryIsKilled},
		{"Cluster master is killed", testClusterMasterIsKilled},
		{"Slots move", testSlotsMove},
		{"Connections are cut", testConnectionsAreCut},
		{"Connections are cut with retries", testConnectionsAreCutWithRetries},
		{"Replies are lost", testRepliesAreLost},
		{"Bytes are corrupted", testBytesAreCorrupted},
		{"Certificate is replaced", testCertificateIsReplaced},
		{"Name changes address", testNameChangesAddress},
		{"Name leads to another primary", testNameLeadsToAnotherPrimary},
		{"Slow network", testSlowNetwork},
		{"Password changes", testPasswordChanges},
		{"User is disabled", testUserIsDisabled},
		{"User is disabled beside an open default user", testUserIsDisabledBesideOpenDefault},
		{"A reply too many, with integrity check", testReplyTooMany},
		{"A reply too many", testReplyTooManyUnchecked},
		{"Max memory", testMaxMemory},
		{"Max clients", testMaxClients},
		{"Large values", testLargeValues},
		{"Clock steps", testClockSteps},
		{"Resources stay level", testResourcesStayLevel},
		{"Caches are cut", testCachesAreCut},
		{"Many callers of a dead server", testManyCallersOfADeadServer},
		{"Many calls in an outage", testManyCallsInAnOutage},
	} {
		if *each == 0 && !slices.Contains(smoke, test.name) {
			continue
		}
		t.Run(test.name, test.run)
	}
	t.Log("\n" + results.text())
	if *report != "" && !t.Failed() {
		writeReport(t, *report)
	}
	checkReport(t)
}
