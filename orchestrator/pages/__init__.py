"""pages: runs and batches as HTML, one offline file each or served on loopback. Everything is escaped; nothing is
loaded from elsewhere."""
