package cache

import "github.com/redis/go-redis/v9"

// opening are the options of [Open] alone.
type opening struct {
	appSettings    string
	environ        []string // nil: that of the process
	configure      []func(*Settings)
	configureRedis []func(*redis.UniversalOptions)

	instanceGiven  bool // WithInstanceName wins over the settings
	keyed          bool // one of [Keyed]
	healthDisabled bool
}

// WithSettings changes the settings of [Open] after the configuration has been read,
// as the delegate configureSettings of .NET Aspire does. It may be given more than once; nil is none.
func WithSettings(configure func(*Settings)) Option {
	return func(o *options) {
		if configure != nil {
			o.configure = append(o.configure, configure)
		}
	}
}

// WithRedisOptions changes the options of the client that [Open] makes, after all else
// has been applied to them, as the delegate configureOptions of .NET Aspire does. Setting
// IsClusterMode or MasterName says what kind of Redis it is. It may be given more than
// once, and is called by Open, once; nil is none.
func WithRedisOptions(configure func(*redis.UniversalOptions)) Option {
	return func(o *options) {
		if configure != nil {
			o.configureRedis = append(o.configureRedis, configure)
		}
	}
}

// WithAppSettings sets the path of the appsettings.json that [Open] reads, which then has
// to be there, overriding the default: appsettings.json in the working directory, if it is
// there.
func WithAppSettings(path string) Option {
	return func(o *options) { o.appSettings = path }
}

// WithEnvironment sets the environment variables that [Open] reads, each as
// "name=value", overriding the default: those of the process.
func WithEnvironment(environ []string) Option {
	return func(o *options) { o.environ = append([]string{}, environ...) }
}
