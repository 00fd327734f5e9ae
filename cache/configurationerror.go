package cache

// ConfigurationError says what is wrong with one thing that was configured.
// [ParseConnectionString] reports every mistake at once, joined with
// errors.Join, and so does reading the settings; errors.As finds the first.
type ConfigurationError struct {
	// Path is where it was configured: "connection string", or the path in the
	// configuration, such as Aspire:StackExchange:Redis:DisableTracing.
	Path string
	// Reason says what is taken there and what was found. It never holds a
	// password, nor what may be a piece of one.
	Reason string
}

// Error names the path and says what is wrong there.
func (e *ConfigurationError) Error() string { return "cache: " + e.Path + ": " + e.Reason }
