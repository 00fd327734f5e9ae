package cache

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// FuzzParseConnectionString looks for what panics, for passwords in errors and
// in print, and for strings that mean something else once they were printed.
func FuzzParseConnectionString(f *testing.F) {
	const secret = "hunter2hunter2"
	for _, test := range accepted {
		if test.keyword != "" {
			f.Add("localhost,"+test.more+","+test.keyword+"="+test.value, "more=x")
		}
	}
	for _, test := range refused {
		f.Add(test.s, "ssl=1")
	}
	for _, s := range withSecrets {
		f.Add(s, "::1,a:xx")
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		if strings.Contains(before+after, "hunter2") {
			before, after = "", ""
		}
		checkErrors(t, before, "")
		// A password alone, and one that falls apart.
		checkErrors(t, before+",password="+secret+","+after, secret)
		checkErrors(t, before+",password=x,"+secret+"=1,"+after, secret)
		checkErrors(t, before+",sentinelPassword=x,"+secret+":x,"+after, secret)

		c, err := ParseConnectionString(before)
		if err != nil {
			return
		}
		again, err := ParseConnectionString(c.String())
		if err != nil || again.String() != c.String() {
			t.Fatalf("once %q, and then %v, %v", c, again, err)
		}
		if !reflect.DeepEqual(c.WithoutEffect(), again.WithoutEffect()) || c.AbortConnect() != again.AbortConnect() {
			t.Fatalf("%q has another effect once it was printed", c)
		}
		once, then := c.UniversalOptions(), again.UniversalOptions()
		once.Password, once.SentinelPassword = then.Password, then.SentinelPassword // ***
		once.Dialer, then.Dialer = nil, nil                                         // functions are never equal
		if !reflect.DeepEqual(once, then) {
			t.Fatalf("once %+v, and then %+v", once, then)
		}
		if c, err := ParseConnectionString(before + ",password=" + secret); err != nil || strings.Contains(c.String(), secret) {
			t.Fatalf("%v, %v", c, err)
		}
	})
}

func checkErrors(t *testing.T, s, secret string) {
	c, err := ParseConnectionString(s)
	if err == nil {
		return
	}
	if c != nil {
		t.Fatalf("%v and the error %v", c, err)
	}
	for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
		var bad *ConfigurationError
		if !errors.As(err, &bad) || bad.Path != "connection string" || bad.Reason == "" {
			t.Fatalf("%#v", err)
		}
	}
	if secret != "" && strings.Contains(err.Error(), secret) {
		t.Fatalf("a password in the error %v", err)
	}
}
