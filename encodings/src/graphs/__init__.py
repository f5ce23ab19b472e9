"""Decision trees and graphs: explanations by reachability, without search."""
